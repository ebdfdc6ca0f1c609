import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { hasEnded } from '../../shared/task.ts';
import { taskOf } from '../server-a/protocols/http/http-fixture.ts';
import { decode, pixelAt, plain } from './pictures.ts';
import { eventually } from './processes.ts';
import type { Service } from './service.ts';

const UPLOADERS = 3;
const PAUSE_MS = 30;
/** The pause after an upload that was not accepted, because the service is full or being killed. */
const LONG_PAUSE_MS = 150;

/** Flags for a service under load: without a bound, the slower a machine is, the more tasks it would get. */
export const LOAD_FLAGS = ['--max-queued', '8'];

/** A task that was accepted with 202, and its expected result. */
interface Accepted {
  readonly id: string;
  readonly width: number;
  readonly height: number;
  readonly color: readonly number[];
}

/** Clients that upload pictures of different sizes and colours, one after another, and record accepted tasks. */
export class UploadLoad {
  readonly accepted: Accepted[] = [];
  #count = 0;
  #isStopped = false;
  readonly #uploaders: Promise<void>[];

  /** `service` gives the current service. */
  constructor(service: () => Service) {
    this.#uploaders = Array.from({ length: UPLOADERS }, () => this.#upload(service));
  }

  /** Resolves when every open upload has been answered or has failed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#uploaders);
  }

  /** Waits for the end of all accepted tasks; each must have completed, once, with the right picture. */
  async expectCompleted(service: Service): Promise<void> {
    await Promise.all(this.accepted.map((one) => expectCompleted(service, one)));
  }

  async #upload(service: () => Service): Promise<void> {
    while (!this.#isStopped) {
      const number = this.#count;
      this.#count += 1;
      // Every third picture is large, so that some task always takes a while.
      const width = (number % 3 === 0 ? 500 : 20) + (number % 100);
      const height = 10 + (number % 70);
      const color = [number % 256, (number * 7) % 256, (number * 31) % 256] as const;
      const picture = await plain(width, height, `rgb(${color.join()})`);
      const answer = await service()
        .post(picture, { scale_factor: '3', classify: 'false' })
        .catch(() => null);
      if (answer?.status === 202) {
        this.accepted.push({ id: taskOf(answer).task_id, width: width * 3, height: height * 3, color });
      }
      await sleep(answer?.status === 202 ? PAUSE_MS : LONG_PAUSE_MS);
    }
  }
}

async function expectCompleted(service: Service, { id, width, height, color }: Accepted): Promise<void> {
  const task = await service.end(id);
  expect([task.status, task.error], id).to.deep.equal(['completed', null]);
  const raster = await decode(await service.picture(id));
  expect([raster.width, raster.height, ...pixelAt(raster, 3, 3)], id).to.deep.equal([width, height, ...color]);
  expect(await service.status(id), id).to.deep.equal(task);
}

/** Waits until there is no input; then every picture must belong to an output of an ended task. */
export async function expectOwnedPictures(service: Service): Promise<void> {
  await eventually('pictures without inputs', async () => {
    return (await service.pictures()).some((name) => name.endsWith('.input')) ? undefined : true;
  });
  for (const file of await service.pictures()) {
    const [id = '', attempt, name] = file.split('.');
    const task = await service.status(id);
    expect(hasEnded(task.status), file).to.equal(true);
    expect([String(task.attempts), task.outputs[0]?.name], file).to.deep.equal([attempt, name]);
  }
}
