import type { PackageDefinition } from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { z } from 'zod';

// The part of google/protobuf/descriptor.proto that is corrected here; everything else is kept as it is.

const fieldSchema = z.looseObject({
  name: z.string(),
  typeName: z.string().optional(),
  oneofIndex: z.number().optional(),
  proto3Optional: z.boolean().optional(),
});
const entrySchema = z.looseObject({
  name: z.string(),
  field: z.array(fieldSchema).default([]),
  options: z.looseObject({ mapEntry: z.boolean().optional() }).optional(),
});
const messageSchema = z.looseObject({
  name: z.string(),
  field: z.array(fieldSchema).default([]),
  nestedType: z.array(entrySchema).default([]),
  oneofDecl: z.array(z.looseObject({ name: z.string() })).default([]),
});
const fileSchema = z.looseObject({
  name: z.string(),
  package: z.string(),
  messageType: z.array(messageSchema).default([]),
});
const { FileDescriptorProto } = descriptor;

type File = z.infer<typeof fileSchema>;
type Message = z.infer<typeof messageSchema>;
type Field = z.infer<typeof fieldSchema>;

/**
 * The descriptors of loaded .proto files, corrected for the reflection service. Those of protobufjs, which proto-loader
 * uses, lack a file's imports, name map entries differently from protoc, and show `optional` as a oneof. Clients that
 * validate descriptors, such as grpcurl, refuse them.
 */
export function correctDescriptors(protos: PackageDefinition): PackageDefinition {
  const files = filesOf(protos);
  const fileDescriptorProtos = files.map((file) => encode(correctFile(file, files)));
  return { files: { format: 'Protocol Buffer 3 EnumDescriptorProto', type: {}, fileDescriptorProtos } };
}

/** Each file once: every definition contains the descriptors of all files. */
function filesOf(protos: PackageDefinition): File[] {
  const files = new Map<string, File>();
  for (const { fileDescriptorProtos } of Object.values(protos)) {
    if (!Array.isArray(fileDescriptorProtos)) continue;
    for (const bytes of fileDescriptorProtos) {
      const file = fileSchema.parse(FileDescriptorProto.toObject(FileDescriptorProto.decode(bytes)));
      files.set(file.name, file);
    }
  }
  return [...files.values()];
}

function correctFile(file: File, files: readonly File[]): File {
  const used = file.messageType.flatMap(({ field, nestedType }) =>
    [field, ...nestedType.map((one) => one.field)].flat(),
  );
  const imported = files.filter((other) => other !== file && used.some((field) => declares(other, field)));
  return {
    ...file,
    dependency: imported.map(({ name }) => name),
    messageType: file.messageType.map(correctMessage),
  };
}

/** True when another package's file declares the field's type. A type of the same package has its bare name. */
function declares(file: File, { typeName }: Field): boolean {
  return file.messageType.some(({ name }) => typeName === `${file.package}.${name}`);
}

function correctMessage(message: Message): Message {
  const entries = new Map<string, string>();
  for (const { name, options } of message.nestedType) {
    const field = message.field.find(({ typeName }) => typeName === name);
    if (options?.mapEntry === true && field !== undefined) entries.set(name, entryName(field.name));
  }
  return {
    ...message,
    field: message.field.map((field) => correctField(field, message, entries)),
    nestedType: message.nestedType.map((entry) => ({ ...entry, name: entries.get(entry.name) ?? entry.name })),
  };
}

/** protoc also puts each `optional` field into a oneof named `_field`, but marks it with `proto3_optional`. */
function correctField(field: Field, { oneofDecl }: Message, entries: ReadonlyMap<string, string>): Field {
  const oneof = field.oneofIndex === undefined ? undefined : oneofDecl[field.oneofIndex]?.name;
  return {
    ...field,
    ...(field.typeName === undefined ? {} : { typeName: entries.get(field.typeName) ?? field.typeName }),
    ...(oneof === `_${field.name}` ? { proto3Optional: true } : {}),
  };
}

/** `created_at` → `CreatedAtEntry`, protoc's name. */
function entryName(field: string): string {
  const words = field.split('_').map((word) => word.slice(0, 1).toUpperCase() + word.slice(1));
  return `${words.join('')}Entry`;
}

function encode(file: File): Buffer {
  return Buffer.from(FileDescriptorProto.encode(FileDescriptorProto.fromObject(file)).finish());
}
