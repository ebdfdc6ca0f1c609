import type { Load } from '../load/load.ts';
import type { LoadRequest } from '../load/messages.ts';
import { treeOf } from '../processes.ts';
import type { Service } from '../service.ts';
import type { Task, Work } from '../work.ts';
import { HttpSubject } from './http-subject.ts';

/** Longer than any task of the benchmark takes; `?wait` allows no more. */
const WAIT_SECONDS = 60;

/** `darkroom serve`. */
export class Darkroom extends HttpSubject {
  readonly name = 'Darkroom';
  readonly service: Service;

  constructor(service: Service, load: Load) {
    super(load);
    this.service = service;
  }

  get origin(): string {
    return this.service.url;
  }

  async requestsOf(work: Work): Promise<LoadRequest[]> {
    return work.tasks.map(waitingUpload);
  }

  pids(): number[] {
    return treeOf(this.service.serverA);
  }

  close(): Promise<void> {
    return this.service.close();
  }
}

/** An upload that is answered when its task has ended; it must have completed, with all its outputs. */
export function waitingUpload(task: Task): LoadRequest {
  return upload(task, WAIT_SECONDS, ['"status":"completed"'], ['"status":"failed"', '"status":"p']);
}

/** An upload that is answered at once with a task id. */
export function acceptedUpload(task: Task): LoadRequest {
  return upload(task, 0, ['"task_id"'], ['"status":"failed"']);
}

/** The raw picture is the body, the outputs are in the query: docs/http.md calls it the fast way. */
function upload({ picture, outputs }: Task, wait: number, expected: string[], refused: string[]): LoadRequest {
  const query = new URLSearchParams({ outputs: JSON.stringify(outputs), ...(wait > 0 && { wait: String(wait) }) });
  const headers = { 'content-type': 'application/octet-stream' };
  return { method: 'POST', path: `/upload?${query}`, headers, bodyFile: picture, expected, refused };
}
