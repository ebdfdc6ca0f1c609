import type { PictureLimits } from '../../shared/config.ts';
import { checkCost, jobCost } from '../../shared/cost.ts';
import { checkOutputLimits, MEBIBYTE } from '../../shared/limits.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { Dispatch } from '../dispatch/contract.ts';
import type { ReceivedPicture } from '../intake/receive.ts';

/** The limits of a task's outputs and of its job. */
export interface TaskLimits extends PictureLimits {
  /** MiB that Server B may reserve, where it has not announced its own value. */
  readonly memoryMb: number;
}

/**
 * Throws IMAGE_TOO_LARGE for an output above the limits, and for a job that needs more memory than Server B has: it
 * would be refused there at each attempt. The size of the input counts, so the whole picture must have been received.
 */
export function checkTask(
  { header, bytes }: Pick<ReceivedPicture, 'header' | 'bytes'>,
  specs: readonly OutputSpec[],
  limits: TaskLimits,
  { memoryBytes }: Pick<Dispatch, 'memoryBytes'>,
): void {
  checkOutputLimits(header, specs, limits);
  checkCost(jobCost(bytes, header, specs), memoryBytes ?? limits.memoryMb * MEBIBYTE);
}
