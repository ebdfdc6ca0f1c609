import type { OperationName, OutputSpec } from '../../shared/operations/index.ts';
import type { Product } from '../job.ts';
import type { ModelFiles } from '../model/find.ts';
import { circle } from './circle.ts';
import { classify } from './classify.ts';
import type { Picture } from './picture.ts';
import { placeholder } from './placeholder.ts';
import { resize } from './resize.ts';

/**
 * Makes one output from a picture. Throws a DarkroomError that a client may read, or an error of sharp or the model.
 */
export interface Operation {
  perform(picture: Picture, spec: OutputSpec, model: ModelFiles | null): Promise<Product>;
}

export type Operations = Readonly<Record<OperationName, Operation>>;

/** All operations. A new one needs a line here and in shared/operations/index.ts, and a file in each folder. */
export const OPERATIONS: Operations = {
  resize: { perform: resize },
  circle: { perform: circle },
  classify: { perform: classify },
  placeholder: { perform: placeholder },
};
