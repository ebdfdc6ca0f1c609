import { expect } from 'chai';
import fc from 'fast-check';
import { DarkroomError } from '../../../shared/errors.ts';
import { operationOf } from '../../../shared/operations/index.ts';
import {
  checkOutputs,
  MAX_OUTPUTS,
  outputSpecsSchema,
  parseOutputs,
  readOutputs,
  readTextOutput,
} from '../../../shared/operations/outputs.ts';

/** The message of the BAD_REQUEST that `read` throws; null when it throws nothing. */
function refusalOf(read: () => unknown): string | null {
  try {
    read();
    return null;
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'BAD_REQUEST') return error.message;
    throw error;
  }
}

/** Keys and values of real requests, and others. */
const key = fc.oneof(
  fc.constantFrom('name', 'operation', 'width', 'height', 'size', 'fit', 'format', 'top_k', 'rotate', 'background'),
  fc.constantFrom('scale_factor', 'gravity', 'flip', 'blur', 'sharpen', 'lossless', 'quality', '__proto__', 'toString'),
  fc.string(),
);
const value = fc.oneof(
  fc.constantFrom('resize', 'circle', 'classify', 'placeholder', 'cover', 'png', 'webp', 'red', 'original', 'thumb'),
  fc.constantFrom(0, 1, 90, 200, 0.5, -1, 20_000, true, false, null, ''),
  fc.jsonValue(),
);
const entry = fc.oneof(
  fc.array(fc.tuple(key, value), { maxLength: 6 }).map((pairs) => Object.fromEntries(pairs)),
  fc
    .record({ name: fc.constantFrom('a', 'b', 'c'), width: fc.integer({ min: -1, max: 400 }), operation: value })
    .map(({ operation, ...rest }) => (operation === null ? rest : { ...rest, operation })),
  fc.jsonValue(),
);
const anyJson = fc.oneof(fc.array(entry, { maxLength: 20 }), fc.jsonValue());

describe('outputSpecsSchema', () => {
  const isAccepted = (list: readonly object[]) => outputSpecsSchema.safeParse(list).success;

  it('accepts one or more outputs, with different names', () => {
    const classify = { name: 'classify', operation: 'classify', top_k: 5 };
    expect(isAccepted([])).to.equal(false);
    expect(isAccepted([classify, classify])).to.equal(false);
    expect(isAccepted([classify, { ...classify, name: 'again' }])).to.equal(true);
    expect(isAccepted([classify, { name: 'circle', operation: 'circle', size: 9 }])).to.equal(true);
  });
});

describe('readOutputs', () => {
  it('reads each operation, with resize as the default', () => {
    const given = [
      { name: 'thumb', width: 200, height: 200, fit: 'cover' },
      { name: 'hero', operation: 'resize', width: 1600, format: 'webp', quality: 82 },
      { name: 'avatar', operation: 'circle', size: 128 },
      { name: 'labels', operation: 'classify' },
      { name: 'blurhash', operation: 'placeholder' },
    ];
    expect(readOutputs(given)).to.deep.equal([
      { name: 'thumb', operation: 'resize', width: 200, height: 200, fit: 'cover' },
      { name: 'hero', operation: 'resize', width: 1600, format: 'webp', quality: 82 },
      { name: 'avatar', operation: 'circle', size: 128 },
      { name: 'labels', operation: 'classify', top_k: 5 },
      { name: 'blurhash', operation: 'placeholder' },
    ]);
  });

  it('returns valid outputs or throws BAD_REQUEST, for any JSON', () => {
    fc.assert(
      fc.property(anyJson, (json) => {
        let specs: ReturnType<typeof readOutputs> = [];
        const refusal = refusalOf(() => {
          specs = readOutputs(json);
        });
        if (refusal !== null) {
          expect(refusal).to.match(/^Expected .+, received .+$/s);
          return;
        }
        expect(outputSpecsSchema.parse(specs)).to.deep.equal(specs);
        for (const spec of specs) expect(operationOf(spec.operation).contradiction(spec)).to.equal(null);
        expect(readOutputs(specs)).to.deep.equal(specs);
      }),
      { numRuns: 2000 },
    );
  });

  it('names the output and the field of the first error, at any position', () => {
    const faults: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
      [{ width: 0 }, 'width'],
      [{ width: '200' }, 'width'],
      [{ width: 10, fit: 'stretch' }, 'fit'],
      [{ width: 10, height: 10, fit: 'cover', gravity: 'up' }, 'gravity'],
      [{ width: 10, background: 'no colour' }, 'background'],
      [{ width: 10, rotate: 45 }, 'rotate'],
      [{ width: 10, blur: 0.1 }, 'blur'],
      [{ width: 10, sharpen: 11 }, 'sharpen'],
      [{ scale_factor: 11 }, 'scale_factor'],
      [{ width: 10, colour: 'red' }, "a field's name"],
      [{ operation: 'circle' }, 'size'],
      [{ operation: 'circle', size: 10, format: 'jpeg' }, 'format'],
      [{ operation: 'classify', top_k: 101 }, 'top_k'],
      [{ operation: 'placeholder', width: 1 }, "a field's name"],
      [{ operation: 'blur' }, 'operation'],
      [{ operation: 7 }, 'operation'],
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...faults),
        fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,31}$/).filter((name) => name !== 'original' && !/^good-\d$/.test(name)),
        fc.integer({ min: 0, max: 3 }),
        ([parameters, field], name, position) => {
          const good: object[] = [0, 1, 2].map((number) => ({ name: `good-${number}`, width: 10 }));
          const message = refusalOf(() => readOutputs(good.toSpliced(position, 0, { name, ...parameters })));
          expect(message).to.contain(` for ${field} of the output ${name}, received `);
        },
      ),
    );
  });

  it('names the position of an output with an invalid name', () => {
    const names = ['', '-a', 'A', 'ä', 'a b', 'original', 'x'.repeat(33), undefined, null, 5, {}];
    for (const name of names) {
      const message = refusalOf(() =>
        readOutputs([
          { name: 'good', width: 10 },
          { name, width: 10 },
        ]),
      );
      expect(message, String(name)).to.match(/^Expected 1 to 32 of a-z, .+ for name of output 2, received /);
    }
    expect(refusalOf(() => readOutputs([7]))).to.equal('Expected an object for output 1, received 7');
  });

  it('refuses parameters that exclude each other or have no effect, and names the output', () => {
    const cases: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
      [{}, /at least one parameter/],
      [{ operation: 'resize' }, /at least one parameter/],
      [{ scale_factor: 0.5, width: 10 }, /scale_factor or width and height/],
      [{ scale_factor: 0.5, fit: 'cover' }, /width or height with fit/],
      [{ width: 10, height: 10, gravity: 'north' }, /fit=cover with width and height beside gravity/],
      [{ width: 10, fit: 'cover', gravity: 'north' }, /fit=cover with width and height beside gravity/],
      [{ width: 10, background: 'red', format: 'png' }, /fit=contain or a format without transparency/],
      [{ width: 10, lossless: true, format: 'jpeg' }, /webp or avif as the format with lossless/],
      [{ operation: 'circle', size: 9, lossless: true }, /webp or avif as the format with lossless/],
    ];
    for (const [parameters, message] of cases) {
      const refusal = refusalOf(() => readOutputs([{ name: 'thumb', ...parameters }]));
      expect(refusal, JSON.stringify(parameters)).to.match(message).and.contain(' for the output thumb, received ');
    }
  });

  it('adds the place of the list after each name in the message', () => {
    const within = ' of the preset avatar';
    expect(refusalOf(() => readOutputs([{ name: 'a', width: 0 }], [], within))).to.contain(
      'for width of the output a of the preset avatar, received 0',
    );
    expect(refusalOf(() => readOutputs({}, {}, within))).to.equal(
      'Expected a JSON list of outputs for outputs of the preset avatar, received {}',
    );
  });
});

describe('checkOutputs', () => {
  const outputs = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ name: `o${index}`, operation: 'placeholder' as const }));

  it('allows 1 to 16 outputs', () => {
    for (const count of [1, MAX_OUTPUTS]) expect(refusalOf(() => checkOutputs(outputs(count)))).to.equal(null);
    for (const count of [0, MAX_OUTPUTS + 1]) {
      expect(refusalOf(() => checkOutputs(outputs(count)))).to.equal(
        `Expected 1 to 16 outputs for outputs, received ${count}`,
      );
    }
  });

  it('reports a name that occurs twice', () => {
    expect(refusalOf(() => checkOutputs([...outputs(3), ...outputs(1)]))).to.equal(
      "Expected each output's name once, received 'o0' twice",
    );
  });
});

describe('parseOutputs', () => {
  it('reads JSON like readOutputs', () => {
    const list = [{ name: 'thumb', width: 200 }];
    expect(parseOutputs(JSON.stringify(list))).to.deep.equal(readOutputs(list));
  });

  it('refuses any other text, and shows it', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const refusal = refusalOf(() => parseOutputs(text));
        expect(refusal).to.match(/^Expected .+ for .*output.*, received /s);
      }),
    );
    expect(refusalOf(() => parseOutputs('[{'))).to.equal("Expected a JSON list of outputs for outputs, received '[{'");
  });
});

describe('readTextOutput', () => {
  it('reads numbers, switches, words and colours from texts, and ignores space around them', () => {
    const texts = {
      width: ' 200',
      height: '100',
      fit: 'cover ',
      flip: 'true',
      flop: '0',
      rotate: '90',
      sharpen: '1.5',
    };
    expect(readTextOutput('thumb', { ...texts, background: 'FC0', format: 'jpeg' })).to.deep.include({
      width: 200,
      height: 100,
      fit: 'cover',
      flip: true,
      flop: false,
      rotate: 90,
      sharpen: 1.5,
      background: '#ffcc00',
    });
    expect(readTextOutput('thumb', { width: '1', sharpen: 'true' })).to.deep.include({ sharpen: true });
  });

  it('refuses any other text, and shows it as it was written', () => {
    for (const text of ['', '0x10', '-5', '1.5', '+1', 'Infinity', '12 34', '1000000000']) {
      const refusal = refusalOf(() => readTextOutput('thumb', { width: text }));
      expect(refusal, text).to.equal(
        `Expected a whole number in [1, 16384] for width of the output thumb, received '${text}'`,
      );
    }
  });
});
