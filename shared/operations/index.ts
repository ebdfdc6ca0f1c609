import { z } from 'zod';
import type { ImageHeader } from '../image-header.ts';
import { circle } from './circle.ts';
import { classify } from './classify.ts';
import type { OperationDefinition, Plan } from './definition.ts';
import { placeholder } from './placeholder.ts';
import { resize } from './resize.ts';

/** All operations. A new one needs a line here and in server-b/operations/index.ts, and a file in each folder. */
const DEFINITIONS = [resize, circle, classify, placeholder] as const;

const [first, ...others] = DEFINITIONS;

/** One output as a client asks for it: a name that the client chooses, an operation, its parameters. */
export const outputSpecSchema = z.discriminatedUnion('operation', [
  first.schema,
  ...others.map(({ schema }) => schema),
]);
export type OutputSpec = z.infer<typeof outputSpecSchema>;
export type OperationName = OutputSpec['operation'];

/** Every operation's name, in the order the docs list them. */
export const OPERATION_NAMES: readonly OperationName[] = DEFINITIONS.map(({ name }) => name);
/** Schema of an operation's name. */
export const operationNameSchema = z.enum([first.name, ...others.map(({ name }) => name)]);

/** A definition that takes any output; the output's `operation` says which parameters it has. */
type Definition = OperationDefinition<OutputSpec> & { readonly schema: z.ZodObject };

const BY_NAME: ReadonlyMap<string, Definition> = new Map(
  DEFINITIONS.map((one): [string, Definition] => [one.name, one]),
);

/** The operation of that name, or undefined. */
export function findOperation(name: string): Definition | undefined {
  return BY_NAME.get(name);
}

/** The operation of that name, which is one of {@link OPERATION_NAMES}. */
export function operationOf(name: OperationName): Definition {
  const definition = BY_NAME.get(name);
  if (definition === undefined) throw new Error(`Expected an operation, received '${name}'`);
  return definition;
}

/** The plan of an output: the facts that are known before decoding. */
export function planOf(header: ImageHeader, spec: OutputSpec): Plan {
  return operationOf(spec.operation).plan(header, spec);
}
