import { expect } from 'chai';
import { memoryTable } from '../../docs/memory-table.ts';

const LIMITS = { maxPixels: 100_000_000, maxSide: 16_384, maxDecodedMb: 400, maxFrames: 1000, maxAnimationSeconds: 10 };

/** The rows for this memory, by the kind of picture. */
function rowsFor(memoryMb: number, limits = LIMITS): ReadonlyMap<string, number[]> {
  const [, ...rows] = memoryTable({ memoryMb, limits, uploadMb: 20 });
  return new Map(rows.map(([kind = '', ...cells]) => [kind, cells.map(Number)]));
}

describe('the table of the largest pictures', () => {
  it('has the pictures that a memory of 512 MiB takes', () => {
    const rows = rowsFor(512);
    expect(rows.get('JPEG')?.at(0)).to.equal(100);
    // A progressive JPEG of 54 megapixels at half its size takes 508 MiB, one of 55 takes 517 MiB.
    expect(rows.get('JPEG, progressive')?.at(1)).to.equal(54);
    expect(rows.get('AVIF')?.at(2)).to.be.below(18);
  });

  it('never has a larger picture for less memory', () => {
    const more = rowsFor(1024);
    for (const [kind, cells] of rowsFor(300)) {
      for (const [column, cell] of cells.entries()) expect(more.get(kind)?.[column], kind).to.be.at.least(cell);
    }
  });

  it('has no picture above another limit, and 0 where none fits', () => {
    const pixels = rowsFor(4096, { ...LIMITS, maxPixels: 7_500_000 });
    for (const cells of pixels.values()) expect(Math.max(...cells)).to.equal(7);
    for (const cells of rowsFor(16).values()) expect(Math.max(...cells)).to.equal(0);
  });
});
