import { readFileSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { taskSchema } from '../../shared/task.ts';
import { WebSocketClient } from '../server-a/protocols/websocket/websocket-client.ts';
import type { EveryProtocol } from '../support/every-protocol.ts';
import { repositoryPath } from '../support/repository.ts';
import type { RunningProgram } from '../support/run-program.ts';
import { sharedFolder } from '../support/shared.ts';

/** The things that an example needs to run. */
export interface Trial {
  readonly service: EveryProtocol;
  /** An empty folder, in which the example runs. */
  readonly folder: string;
  /** Starts the example with these arguments. */
  start(...words: string[]): RunningProgram;
}

const SAMPLE = repositoryPath('examples/sample.jpg');

/** The test of each example, for both languages, by the file's name without its extension. */
export const EXAMPLE_CASES: Readonly<Record<string, (trial: Trial) => Promise<void>>> = {
  'upload-and-poll': async ({ folder, start }) => {
    const { code, stdout, stderr } = await start(SAMPLE, 'small.jpg').ended;
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.match(/^(\S{21}) completed \/result\/\1\n$/);
    const { format, width, height } = await sharp(await readFile(join(folder, 'small.jpg'))).metadata();
    expect({ format, width, height }).to.deep.equal({ format: 'jpeg', width: 320, height: 240 });
  },

  camera: async ({ service, start }) => {
    const operator = await WebSocketClient.open(service.relay);
    const camera = start(SAMPLE);
    expect(await operator.next()).to.equal('Message: Ready for capture');
    operator.send('snap');
    await camera.printed(/^200 \{.*"task_id":"\S{21}"/m);
    operator.send('stop');
    expect(await camera.ended).to.include({ code: 0, stderr: '' });
    const snippet = await (await fetch(`${service.http}/snippets/1/`)).json();
    expect(snippet).to.have.nested.property('task.input.filename', 'opencv_frame_0.png');
    await operator.close();
  },

  'classify-urls': async ({ service, folder, start }) => {
    const uploaded = await fetch(`${service.http}/upload?scale_factor=1&wait=20`, sampleRequest());
    const { task_id: id } = taskSchema.parse(await uploaded.json());
    const good = `${service.http}/result/${id}`;
    const bad = `${service.http}/missing.jpg`;
    await writeFile(join(folder, 'urls.csv'), ['url', good, bad, good, ''].join('\n'));
    const { code, stdout, stderr } = await start('urls.csv').ended;
    expect([code, stderr]).to.deep.equal([0, '']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.split('  ')[0])).to.have.members([good, bad, good]);
    if (sharedFolder() !== null) expect(lines.filter((line) => line === `${good}  balloon`)).to.have.length(2);
  },

  'keep-and-resize': async ({ folder, start }) => {
    const { code, stdout, stderr } = await start(SAMPLE, '200', '100', 'small.png').ended;
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.include(`${(await readFile(SAMPLE)).length} bytes come back`);
    const { format, width, height } = await sharp(await readFile(join(folder, 'small.png'))).metadata();
    expect({ format, width, height }).to.deep.equal({ format: 'png', width: 200, height: 100 });
  },

  circle: async ({ service, start }) => {
    const path = join(service.pathRoot, 'circle-me.jpg');
    await copyFile(SAMPLE, path);
    const { code, stdout, stderr } = await start(path, '64').ended;
    expect([code, stderr]).to.deep.equal([0, '']);
    const output = join(service.pathRoot, 'circle-me_processed.png');
    expect(stdout).to.include(output);
    const { format, width, height } = await sharp(await readFile(output)).metadata();
    expect({ format, width, height }).to.deep.equal({ format: 'png', width: 64, height: 64 });
  },

  'submit-and-watch': async ({ folder, start }) => {
    const { code, stdout, stderr } = await start(SAMPLE, 'half.jpg').ended;
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout)
      .to.match(/^\S{21} {2}\S*completed$/im)
      .and.match(/^resize {2}320×240$/m);
    const { format, width, height } = await sharp(await readFile(join(folder, 'half.jpg'))).metadata();
    expect({ format, width, height }).to.deep.equal({ format: 'jpeg', width: 320, height: 240 });
  },
};

function sampleRequest(): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: readFileSync(SAMPLE) };
}
