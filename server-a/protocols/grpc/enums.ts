import { z } from 'zod';
import { FITS } from '../../../shared/operations/bounds.ts';
import { FORMATS, INPUT_FORMATS } from '../../../shared/operations/format.ts';
import { TASK_STATUSES } from '../../../shared/task.ts';

/** An enum of darkroom.proto: a value is prefix + name in capitals; prefix + `UNSPECIFIED` stands for none. */
interface ProtoEnum<Name extends string> {
  readonly prefix: string;
  readonly names: readonly Name[];
}

export const FORMAT = { prefix: 'FORMAT_', names: FORMATS } satisfies ProtoEnum<string>;
/** The same enum for inputs, which may have a format that is not written. */
export const INPUT_FORMAT = { prefix: 'FORMAT_', names: INPUT_FORMATS } satisfies ProtoEnum<string>;
export const FIT = { prefix: 'FIT_', names: FITS } satisfies ProtoEnum<string>;
/** The enum's operations. It gets no new ones: `operation_name` has them all. */
export const OPERATION = { prefix: 'OPERATION_', names: ['resize', 'circle', 'classify'] } satisfies ProtoEnum<string>;
export const TASK_STATUS = { prefix: 'TASK_STATUS_', names: TASK_STATUSES } satisfies ProtoEnum<string>;

/** `jpeg` → `FORMAT_JPEG`; null → `FORMAT_UNSPECIFIED`. */
export function enumValue<Name extends string>({ prefix }: ProtoEnum<Name>, name: NoInfer<Name> | null): string {
  return prefix + (name ?? 'unspecified').toUpperCase();
}

/** Like {@link enumValue}, but `UNSPECIFIED` for a name that the enum does not have. */
export function knownEnumValue({ prefix, names }: ProtoEnum<string>, name: string): string {
  return prefix + (names.includes(name) ? name : 'unspecified').toUpperCase();
}

/** Reads `FORMAT_JPEG` as `jpeg` and `FORMAT_UNSPECIFIED` as undefined; refuses a number that has no name. */
export function enumSchema<Name extends string>({ prefix, names }: ProtoEnum<Name>) {
  return z.unknown().transform((value, context) => {
    if (value === `${prefix}UNSPECIFIED`) return undefined;
    const name = names.find((one) => value === prefix + one.toUpperCase());
    if (name !== undefined) return name;
    const values = names.map((one) => prefix + one.toUpperCase());
    context.addIssue({ code: 'custom', message: `expected one of ${values.join(', ')}` });
    return z.NEVER;
  });
}
