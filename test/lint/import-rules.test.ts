import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { repositoryPath } from '../support/repository.ts';

/** A line in a file of a separate tree, and the rule that must or must not report it. */
interface Plant {
  readonly file: string;
  readonly line: string;
}

const RESTRICTED = 'lint/style/noRestrictedImports';
const PROCESS_ENV = 'lint/style/noProcessEnv';
const CYCLES = 'lint/suspicious/noImportCycles';
const FLOATING = 'lint/nursery/noFloatingPromises';

function importing(file: string, target: string): Plant {
  return { file, line: `import '${target}';` };
}

const FORBIDDEN: Readonly<Record<string, readonly Plant[]>> = {
  'shared imports neither tier, nor the command line, nor the picture libraries': [
    importing('shared/bad-a.ts', '../server-a/config.ts'),
    importing('shared/bad-b.ts', '../server-b/config.ts'),
    importing('shared/wire/bad-b.ts', '../../server-b/config.ts'),
    importing('shared/bad-bin.ts', '../bin/settings.ts'),
    importing('shared/bad-sharp.ts', 'sharp'),
    importing('shared/bad-model.ts', 'onnxruntime-node'),
  ],
  'Server A never imports Server B or the command line': [
    importing('server-a/bad-b.ts', '../server-b/config.ts'),
    importing('server-a/protocols/bad-b.ts', '../../server-b/config.ts'),
    importing('server-a/protocols/http/bad-b.ts', '../../../server-b/config.ts'),
    importing('server-a/protocols/http/routes/bad-b.ts', '../../../../server-b/config.ts'),
    importing('server-a/tasks/bad-b.ts', '../../server-b/config.ts'),
    importing('server-a/dispatch/bad-b.ts', '../../server-b/config.ts'),
    importing('server-a/bad-bin.ts', '../bin/settings.ts'),
  ],
  'Server B never imports Server A or the command line': [
    importing('server-b/bad-a.ts', '../server-a/config.ts'),
    importing('server-b/worker.ts', '../server-a/config.ts'),
    importing('server-b/operations/bad-a.ts', '../../server-a/config.ts'),
    importing('server-b/model/bad-a.ts', '../../server-a/config.ts'),
    importing('server-b/bad-bin.ts', '../bin/settings.ts'),
  ],
  'no protocol imports another, with any names': [
    importing('server-a/protocols/http/bad-zeromq.ts', '../zeromq/sockets.ts'),
    importing('server-a/protocols/http/routes/bad-grpc.ts', '../../grpc/calls.ts'),
    importing('server-a/protocols/zeromq/bad-http.ts', '../http/app.ts'),
    importing('server-a/protocols/grpc/bad-websocket.ts', '../websocket/relay.ts'),
    importing('server-a/protocols/websocket/bad-grpc.ts', '../grpc/calls.ts'),
    importing('server-a/protocols/mqtt/bad-http.ts', '../http/answer/problem.ts'),
    importing('server-a/protocols/mqtt/topics/bad-http.ts', '../../http/app.ts'),
    importing('server-a/protocols/http/bad-mqtt.ts', '../mqtt/topics/broker.ts'),
    importing('server-a/protocols/http/body/bad-mqtt.ts', '../../mqtt/broker.ts'),
    importing('server-a/protocols/bad-shared.ts', './mqtt/broker.ts'),
  ],
  'nothing below imports a protocol': [
    importing('server-a/tasks/bad-http.ts', '../protocols/http/answer/problem.ts'),
    importing('server-a/tasks/bad-mqtt.ts', '../protocols/mqtt/broker.ts'),
    importing('server-a/dispatch/bad-http.ts', '../protocols/problem.ts'),
    importing('server-a/spool/bad-koa.ts', 'koa'),
    importing('server-a/a-new-folder/bad-mqtt.ts', '../protocols/mqtt/broker.ts'),
    importing('server-a/a-new-folder/bad-ws.ts', 'ws'),
    importing('server-a/tasks/bad-control.ts', '../control/server.ts'),
    importing('server-a/control/bad-http.ts', '../protocols/http/app.ts'),
    importing('server-a/control/bad-b.ts', '../../server-b/config.ts'),
  ],
  'nothing below tasks imports tasks': [
    importing('server-a/dispatch/bad-tasks.ts', '../tasks/tasks.ts'),
    importing('server-a/store/bad-tasks.ts', '../tasks/tasks.ts'),
    importing('server-a/probe/formats/bad-tasks.ts', '../../tasks/tasks.ts'),
    importing('server-a/a-new-folder/bad-tasks.ts', '../tasks/tasks.ts'),
  ],
  'Server A never loads sharp, ONNX Runtime or Piscina, even by dynamic import': [
    importing('server-a/bad-sharp.ts', 'sharp'),
    importing('server-a/protocols/http/bad-sharp.ts', 'sharp'),
    importing('server-a/protocols/mqtt/topics/bad-sharp.ts', 'sharp'),
    importing('server-a/tasks/bad-model.ts', 'onnxruntime-node'),
    importing('server-a/dispatch/bad-pool.ts', 'piscina'),
    { file: 'server-a/bad-dynamic.ts', line: "await import('sharp');" },
  ],
  "Server B's main thread never loads sharp, ONNX Runtime or the operations": [
    importing('server-b/listener.ts', 'sharp'),
    importing('server-b/pool.ts', 'onnxruntime-node'),
    importing('server-b/budget.ts', './operations/resize.ts'),
    importing('server-b/model/bad-operations.ts', '../operations/classifier.ts'),
    { file: 'server-b/bad-dynamic.ts', line: "await import('onnxruntime-node');" },
  ],
  'the command line never loads sharp, ONNX Runtime or Piscina': [
    importing('bin/bad-sharp.ts', 'sharp'),
    importing('bin/commands/bad-pool.ts', 'piscina'),
  ],
};

const ALLOWED: readonly Plant[] = [
  importing('server-a/protocols/http/good.ts', '../../tasks/tasks.ts'),
  importing('server-a/protocols/http/good-sibling.ts', './routes/upload.ts'),
  importing('server-a/protocols/http/good-shared.ts', '../problem.ts'),
  importing('server-a/protocols/http/routes/good.ts', '../../../tasks/tasks.ts'),
  importing('server-a/protocols/http/routes/good-sibling.ts', '../body/drain.ts'),
  importing('server-a/protocols/http/routes/good-shared.ts', '../../problem.ts'),
  importing('server-a/protocols/mqtt/good.ts', '../../tasks/tasks.ts'),
  importing('server-a/protocols/mqtt/good-shared.ts', '../api-keys.ts'),
  importing('server-a/protocols/mqtt/topics/good-sibling.ts', '../broker.ts'),
  importing('server-a/protocols/good.ts', './problem.ts'),
  importing('server-a/control/good.ts', '../tasks/tasks.ts'),
  importing('server-a/tasks/good.ts', '../dispatch/contract.ts'),
  importing('server-a/dispatch/good.ts', '../../shared/task.ts'),
  importing('server-a/index.ts', './protocols/http/app.ts'),
  importing('server-a/http-port.ts', './protocols/websocket/relay.ts'),
  importing('server-b/good.ts', '../shared/operations/index.ts'),
  importing('server-b/good-pool.ts', './pool.ts'),
  importing('server-b/operations/good.ts', 'sharp'),
  importing('bin/good-a.ts', '../server-a/config.ts'),
  importing('bin/good-b.ts', '../server-b/config.ts'),
  importing('test/good.ts', 'sharp'),
];

const READS_ENVIRONMENT = 'export const home = process.env;';
const ENVIRONMENT_FORBIDDEN = ['server-a/environment.ts', 'server-b/environment.ts', 'shared/environment.ts'];
const ENVIRONMENT_ALLOWED = ['bin/environment.ts', 'server-b/main.ts', 'test/environment.ts'];

const FLOATS: Plant = {
  file: 'shared/floating.ts',
  line: 'export function go(): void { Promise.resolve(1).then(String); }',
};

const CYCLE: readonly Plant[] = [
  importing('shared/one.ts', './two.ts'),
  importing('shared/two.ts', './three.ts'),
  importing('shared/three.ts', './one.ts'),
];

const diagnosticsSchema = z.object({
  diagnostics: z.array(z.object({ category: z.string(), location: z.object({ path: z.string() }) })),
});

describe('lint rules', function () {
  this.timeout(180_000);
  let folder: string;
  let objections: ReadonlySet<string>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-lint-'));
    for (const name of ['biome.json', '.gitignore']) await copyFile(repositoryPath(name), join(folder, name));
    const environment = [...ENVIRONMENT_FORBIDDEN, ...ENVIRONMENT_ALLOWED].map((file) => ({
      file,
      line: READS_ENVIRONMENT,
    }));
    for (const plant of [...Object.values(FORBIDDEN).flat(), ...ALLOWED, ...environment, ...CYCLE, FLOATS]) {
      const path = join(folder, plant.file);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, `${plant.line}\n`, { flag: 'wx' });
    }
    objections = await lint(folder);
  });

  after(() => rm(folder, { recursive: true, force: true }));

  for (const [rule, plants] of Object.entries(FORBIDDEN)) {
    describe(rule, () => {
      for (const { file, line } of plants) {
        it(`${file}: ${line}`, () => {
          expect(objections).to.include(`${RESTRICTED} ${file}`);
        });
      }
    });
  }

  describe('accept what the design allows', () => {
    for (const { file, line } of ALLOWED) {
      it(`${file}: ${line}`, () => {
        expect(objections).not.to.include(`${RESTRICTED} ${file}`);
      });
    }
  });

  it("allow process.env only in the command line and Server B's entry point", () => {
    for (const file of ENVIRONMENT_FORBIDDEN) expect(objections).to.include(`${PROCESS_ENV} ${file}`);
    for (const file of ENVIRONMENT_ALLOWED) expect(objections).not.to.include(`${PROCESS_ENV} ${file}`);
  });

  it('report a promise that is not awaited', () => {
    expect(objections).to.include(`${FLOATING} ${FLOATS.file}`);
  });

  it('report an import cycle in each of its files', () => {
    for (const { file } of CYCLE) expect(objections).to.include(`${CYCLES} ${file}`);
  });
});

/** Errors found in the tree, each as "rule file". */
async function lint(folder: string): Promise<ReadonlySet<string>> {
  const biome = repositoryPath('node_modules/@biomejs/biome/bin/biome');
  const options = ['lint', '--reporter=json', '--max-diagnostics=none', '--diagnostic-level=error', '.'];
  const text = await new Promise<string>((resolve) => {
    // Biome exits with 1 when it finds errors, which this test expects.
    execFile(process.execPath, [biome, ...options], { cwd: folder }, (_error, stdout) => resolve(stdout));
  });
  const { diagnostics } = diagnosticsSchema.parse(JSON.parse(text));
  return new Set(diagnostics.map(({ category, location }) => `${category} ${location.path}`));
}
