import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasEnded, type Task } from '../../shared/task.ts';
import { type Answer, ask, type Part, postForm, taskOf } from '../server-a/protocols/http/http-fixture.ts';
import { type Ended, type Running, startDarkroom } from './command-line.ts';
import { childrenOf, eventually, isRunning } from './processes.ts';
import { pictureNames } from './stored-pictures.ts';

const HTTP_LINE = /^HTTP {6}(http:\/\/\S+)$/m;

/** Turns off the listeners whose ports another service could use. */
export const HTTP_ONLY = ['--zeromq-port', '0', '--zeromq-pub-port', '0', '--grpc-port', '0', '--websocket-port', '0'];

export interface ServiceOptions {
  /** Flags in addition to those for no log, one thread and no download. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Addresses, separated by commas; the first is that of {@link Service.address}. */
  readonly ip?: string;
  /** An existing data folder; without it a new one is made, and removed with the service. */
  readonly dataDir?: string;
  readonly leadsGroup?: boolean;
  /** The command; default `serve`. */
  readonly command?: 'serve' | 'server-a';
}

/** A process of `darkroom serve`, with its HTTP address, its two process ids and its data folder. */
export class Service {
  readonly running: Running;
  readonly dataDir: string;
  /** Such as `http://[::1]:5454`. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly #ownsDataDir: boolean;

  private constructor(running: Running, address: string, dataDir: string, ownsDataDir: boolean) {
    const { hostname, port } = new URL(address);
    this.running = running;
    this.dataDir = dataDir;
    this.address = address;
    this.host = hostname.replace(/[[\]]/g, '');
    this.port = Number(port);
    this.#ownsDataDir = ownsDataDir;
  }

  /** Resolves when it serves. */
  static async start(options: ServiceOptions = {}): Promise<Service> {
    const { flags = [], environment = {}, ip = '127.0.0.1', leadsGroup = false, command = 'serve' } = options;
    const dataDir = options.dataDir ?? (await temporaryFolder());
    const words = [
      command,
      '-i',
      ip,
      '-p',
      '0',
      '--data-dir',
      dataDir,
      '--no-model-fetch',
      '--threads',
      '1',
      ...HTTP_ONLY,
    ];
    const quiet = { DARKROOM_LOG_LEVEL: 'silent' };
    const running = startDarkroom([...words, ...flags], { environment: { ...quiet, ...environment }, leadsGroup });
    const [, address = ''] = await running.printed(HTTP_LINE);
    return new Service(running, address, dataDir, options.dataDir === undefined);
  }

  /** The same service at another of its addresses. */
  at(ip: string): Service {
    const host = ip.includes(':') ? `[${ip}]` : ip;
    return new Service(this.running, `http://${host}:${this.port}`, this.dataDir, this.#ownsDataDir);
  }

  /** Process id of Server A. */
  get pid(): number {
    const { pid } = this.running.process;
    if (pid === undefined) throw new Error('Expected a process that was started');
    return pid;
  }

  /** Process id of the current Server B; waits for one. */
  serverB(): Promise<number> {
    return eventually('a Server B', async () => (await childrenOf(this.pid))[0]);
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return ask(this, { path, headers });
  }

  delete(path: string): Promise<Answer> {
    return ask(this, { method: 'DELETE', path });
  }

  /** Posts a picture as a form. Resolves with the answer, with any status. */
  post(picture: Uint8Array, fields: Readonly<Record<string, string>>): Promise<Answer> {
    const parts = Object.entries(fields).map(([name, value]): Part => [name, value]);
    return postForm(this, [['image', picture, 'picture.bin'], ...parts]);
  }

  /** Posts a picture, which must be accepted. Resolves with the task's id. */
  async submit(picture: Uint8Array, fields: Readonly<Record<string, string>>): Promise<string> {
    const answer = await this.post(picture, fields);
    if (answer.status !== 202) throw new Error(`Expected 202, received ${answer.status}: ${answer.body}`);
    return taskOf(answer).task_id;
  }

  async status(id: string): Promise<Task> {
    return taskOf(await this.get(`/status/${id}`));
  }

  /** Resolves with the task when it has ended. */
  async end(id: string): Promise<Task> {
    const task = taskOf(await this.get(`/status/${id}?wait=60`));
    if (!hasEnded(task.status)) throw new Error(`Expected the end of a task, received ${JSON.stringify(task)}`);
    return task;
  }

  /** Posts a picture. Resolves with its task when the task has ended. */
  async run(picture: Uint8Array, fields: Readonly<Record<string, string>>): Promise<Task> {
    return this.end(await this.submit(picture, fields));
  }

  /** The bytes of a picture output; without a name, of the first one. */
  async picture(id: string, name?: string): Promise<Buffer> {
    const answer = await this.get(name === undefined ? `/result/${id}` : `/result/${id}/${name}`);
    if (answer.status !== 200) throw new Error(`Expected a picture, received ${answer.status}: ${answer.body}`);
    return answer.body;
  }

  /** Resolves with the answer of /readyz as soon as it has this status. */
  ready(status: 200 | 503 = 200): Promise<Record<string, unknown>> {
    return eventually(`${status} from /readyz`, async () => {
      const answer = await this.get('/readyz');
      return answer.status === status ? { ...JSON.parse(answer.body.toString()) } : undefined;
    });
  }

  /** Names of all pictures. */
  pictures(): Promise<string[]> {
    return pictureNames(this.dataDir);
  }

  /** Sends a signal to Server A only and resolves when Server A and its Server B have ended. */
  signal(signal: NodeJS.Signals): Promise<Ended> {
    this.running.process.kill(signal);
    return this.running.ended;
  }

  /** Kills the service, and removes the data folder that was made for it. */
  async stop(): Promise<void> {
    await this.signal('SIGKILL');
    if (this.#ownsDataDir) await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** A new empty folder. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'darkroom-system-'));
}

/** Resolves when a process has ended. */
export async function hasGone(pid: number): Promise<void> {
  await eventually(`the end of process ${pid}`, async () => ((await isRunning(pid)) ? undefined : true));
}
