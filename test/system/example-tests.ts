import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { EveryProtocol } from '../support/every-protocol.ts';
import { repositoryPath } from '../support/repository.ts';
import { requireTool } from '../support/required-tool.ts';
import { type RunningProgram, startProgram } from '../support/run-program.ts';
import { EXAMPLE_CASES } from './example-cases.ts';

const PYTHON = process.env['DARKROOM_PYTHON'] ?? 'python3';
const PYTHON_MODULES = 'import grpc, grpc_tools, requests, websocket, zmq';

/** One language of the examples. */
interface Language {
  readonly name: string;
  readonly folder: string;
  readonly extension: string;
  /** The command line that runs an example. */
  command(name: string): readonly [program: string, ...words: string[]];
  /** Skips a test if the language is not installed. */
  require(context: Mocha.Context): void;
}

const LANGUAGES: readonly Language[] = [
  {
    name: 'TypeScript',
    folder: 'examples/typescript',
    extension: '.ts',
    command: (name) => [process.execPath, repositoryPath(`dist/examples/typescript/${name}.js`)],
    require: () => undefined,
  },
  {
    name: 'Python',
    folder: 'examples/python',
    extension: '.py',
    command: (name) => [PYTHON, repositoryPath(`examples/python/${name}.py`)],
    require: (context) => requireTool(context, [PYTHON, '-c', PYTHON_MODULES], 'DARKROOM_REQUIRE_PYTHON'),
  },
];

/** Runs every example against a service with all protocols. */
export function exampleTests(service: () => EveryProtocol): void {
  let folder: string;
  let started: RunningProgram[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-example-'));
    started = [];
  });

  afterEach(async () => {
    for (const { process } of started) process.kill('SIGKILL');
    await Promise.all(started.map(({ ended }) => ended));
    await rm(folder, { recursive: true, force: true });
  });

  for (const language of LANGUAGES) {
    describe(language.name, () => {
      const files = readdirSync(repositoryPath(language.folder)).filter((file) => file.endsWith(language.extension));
      for (const file of files) {
        it(file, async function () {
          language.require(this);
          const name = basename(file, language.extension);
          const attempt = EXAMPLE_CASES[name.replaceAll('_', '-')];
          if (attempt === undefined) throw new Error(`Expected a case for ${file} in example-cases.ts, found none`);
          const [program, ...words] = language.command(name);
          const start = (...more: string[]): RunningProgram => {
            const running = startProgram(program, [...words, ...more], {
              folder,
              environment: environmentOf(service()),
            });
            started.push(running);
            return running;
          };
          await attempt({ service: service(), folder, start });
        });
      }
    });
  }
}

/** The addresses of the service, in the environment variables that `darkroom`'s own client commands read. */
function environmentOf(service: EveryProtocol): Record<string, string | undefined> {
  return {
    PATH: process.env['PATH'],
    PYTHONDONTWRITEBYTECODE: '1',
    DARKROOM_SERVER: service.http,
    DARKROOM_WEBSOCKET: service.relay,
    DARKROOM_ZEROMQ: service.zeromq,
    DARKROOM_ZEROMQ_PUB: service.zeromqPub,
    DARKROOM_GRPC: service.grpc,
    DARKROOM_PATH_ROOT: service.pathRoot,
  };
}
