import { expect } from 'chai';
import { type PictureServer, startPictureServer } from '../../support/picture-server.ts';
import { startProgram } from '../../support/run-program.ts';
import { makePicture, useTemporaryFolder } from './support.ts';

const TRACED = new URL('./fixtures/traced.js', import.meta.url).pathname;

describe('NODE_DEBUG', () => {
  const folder = useTemporaryFolder();
  let picture: Buffer;
  let server: PictureServer;

  before(async () => {
    picture = await makePicture();
    server = await startPictureServer(picture);
  });
  after(() => server.close());

  /** The program's standard error, with the ids replaced by `1`, `2`, … in the order of their first occurrence. */
  async function trace(sections: string): Promise<string[]> {
    const words = [TRACED, folder(), `${server.address}/moved?secret`, `${server.address}/missing`];
    const { code, stderr } = await startProgram(process.execPath, words, {
      folder: folder(),
      environment: { PATH: process.env['PATH'], NODE_DEBUG: sections },
    }).ended;
    expect(code, stderr).to.equal(0);
    const ids: string[] = [];
    return stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line) =>
        line.replace(/ \d+: /, ' ').replace(/(?<=^\S+ |as )[\w-]{21}/g, (id) => {
          if (!ids.includes(id)) ids.push(id);
          return `${ids.indexOf(id) + 1}`;
        }),
      );
  }

  it('=darkroom-intake shows each state of an upload, and nothing of another section', async () => {
    const lines = await trace('darkroom-intake');
    expect(lines.filter((line) => !line.startsWith('DARKROOM-INTAKE '))).to.deep.equal([]);
    expect(lines.slice(0, 16)).to.deep.equal(
      [
        '1.tmp first byte',
        `1.tmp flushed, ${picture.length} bytes`,
        '1.tmp probed, png of 8x6',
        `1.tmp sealed, ${picture.length} bytes`,
        '1.tmp placed as 2.input',
        `2.input kept, ${picture.length} bytes`,
        '3.tmp first byte',
        `3.tmp flushed, ${picture.length} bytes`,
        '3.tmp probed, png of 8x6',
        `3.tmp sealed, ${picture.length} bytes`,
        `3.tmp discarded, ${picture.length} bytes`,
        '4.tmp first byte',
        '4.tmp refused, UNSUPPORTED_IMAGE',
        '4.tmp discarded, 17 bytes',
        '5.tmp first byte',
        `5.tmp flushed, ${picture.length} bytes`,
      ].map((line) => `DARKROOM-INTAKE ${line}`),
    );
  });

  it('=darkroom-fetch shows each state of the fetch of a listed URL, and nothing of another section', async () => {
    const lines = await trace('darkroom-fetch');
    const unlike = lines.filter((line, index) => line !== lines[index - 1]);
    const both = [
      '1 started',
      '2 no room, QUEUE_FULL',
      `${server.address}/moved redirected to ${server.address}/a.png`,
      `1 received, ${picture.length} bytes`,
      '1 ready',
      '2 no room, QUEUE_FULL',
      '2 started',
      '2 failed, SOURCE_ERROR',
    ];
    expect(unlike).to.deep.equal(both.map((line) => `DARKROOM-FETCH ${line}`));
  });
});
