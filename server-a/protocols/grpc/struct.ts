import { z } from 'zod';

// google.protobuf.Struct (https://protobuf.dev/reference/protobuf/google.protobuf/#struct) as proto-loader represents
// it: each value is an object with one member, which is named for the value's kind.

const valueSchema = z.looseObject({
  nullValue: z.unknown().optional(),
  numberValue: z.number().optional(),
  stringValue: z.string().optional(),
  boolValue: z.boolean().optional(),
  structValue: z.unknown().optional(),
  listValue: z.unknown().optional(),
});
const structSchema = z.object({ fields: z.record(z.string(), valueSchema).default({}) });
const listSchema = z.object({ values: z.array(valueSchema).default([]) });

/** A Struct in a message. */
export const structMessage = structSchema.nullable().optional();

/** A Struct as a JSON object; an absent Struct is an empty object. */
export function readStruct(struct: z.infer<typeof structMessage>): Record<string, unknown> {
  const entries = Object.entries(struct?.fields ?? {});
  return Object.fromEntries(entries.map(([name, value]) => [name, fromValue(value)]));
}

/** A JSON object as a Struct. */
export function toStruct(object: Readonly<Record<string, unknown>>): object {
  const fields = Object.entries(object).filter(([, value]) => value !== undefined);
  return { fields: Object.fromEntries(fields.map(([name, value]) => [name, toValue(value)])) };
}

function fromValue(value: z.infer<typeof valueSchema>): unknown {
  const { numberValue, stringValue, boolValue, structValue, listValue } = value;
  if (structValue !== undefined && structValue !== null) return readStruct(structSchema.parse(structValue));
  if (listValue !== undefined && listValue !== null) return listSchema.parse(listValue).values.map(fromValue);
  return numberValue ?? stringValue ?? boolValue ?? null;
}

function toValue(value: unknown): object {
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  return value instanceof Object ? { structValue: toStruct({ ...value }) } : { nullValue: 'NULL_VALUE' };
}
