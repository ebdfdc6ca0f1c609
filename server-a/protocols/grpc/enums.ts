import { z } from 'zod';
import { FITS } from '../../../shared/operations/bounds.ts';
import { FORMATS } from '../../../shared/operations/format.ts';
import { TASK_STATUSES } from '../../../shared/task.ts';

/** An enum of ours: its values are prefix and name, in capitals, and prefix + `UNSPECIFIED` for none. */
interface ProtoEnum<Name extends string> {
  readonly prefix: string;
  readonly names: readonly Name[];
}

export const FORMAT = { prefix: 'FORMAT_', names: FORMATS } satisfies ProtoEnum<string>;
export const FIT = { prefix: 'FIT_', names: FITS } satisfies ProtoEnum<string>;
/** The operations that the enum has; later ones are told by name alone. */
export const OPERATION = { prefix: 'OPERATION_', names: ['resize', 'circle', 'classify'] } satisfies ProtoEnum<string>;
export const TASK_STATUS = { prefix: 'TASK_STATUS_', names: TASK_STATUSES } satisfies ProtoEnum<string>;

/** `jpeg` → `FORMAT_JPEG`; null → `FORMAT_UNSPECIFIED`. */
export function enumValue<Name extends string>({ prefix }: ProtoEnum<Name>, name: NoInfer<Name> | null): string {
  return prefix + (name ?? 'unspecified').toUpperCase();
}

/** As {@link enumValue}; a name that the enum does not have is its `UNSPECIFIED`. */
export function knownEnumValue({ prefix, names }: ProtoEnum<string>, name: string): string {
  return prefix + (names.includes(name) ? name : 'unspecified').toUpperCase();
}

/** `FORMAT_JPEG` → `jpeg`; `FORMAT_UNSPECIFIED` → undefined. A number of no name is refused. */
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
