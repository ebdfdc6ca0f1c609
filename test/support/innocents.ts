import { expect } from 'chai';
import { KILLERS } from './killer-operations.ts';
import { decode, plain } from './pictures.ts';
import type { Service } from './service.ts';

export const HALF = { scale_factor: '0.5', classify: 'false' };

/** Ids of a picture that misbehaves, and of the harmless ones that were submitted before and after it. */
export interface Beside {
  readonly killer: string;
  readonly innocents: readonly string[];
}

/** A picture at which the killer operations misbehave. */
export function killerPicture(kind: keyof typeof KILLERS): Promise<Buffer> {
  return plain(KILLERS[kind], KILLERS[kind], 'red');
}

/** Submits harmless pictures, each of a different size. */
function submitInnocents(service: Service, count: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => service.submit(await plain(400 + index, 300, 'blue'), HALF)),
  );
}

/** Submits a picture that misbehaves among harmless ones. */
export async function submitBeside(service: Service, kind: keyof typeof KILLERS): Promise<Beside> {
  const before = await submitInnocents(service, 4);
  const killer = await service.submit(await killerPicture(kind), HALF);
  return { killer, innocents: [...before, ...(await submitInnocents(service, 4))] };
}

/** Every harmless picture completes, later ones too, and the service is ready and still the same process. */
export async function expectUnharmed(service: Service, innocents: readonly string[]): Promise<void> {
  for (const id of [...innocents, ...(await submitInnocents(service, 2))]) {
    const task = await service.end(id);
    expect([task.status, task.error], JSON.stringify(task)).to.deep.equal(['completed', null]);
    const { width, height } = await decode(await service.picture(id));
    expect([width, height]).to.deep.equal([Math.round(Number(task.input.width) / 2), 150]);
  }
  await service.ready();
  expect(service.running.process.exitCode).to.equal(null);
}
