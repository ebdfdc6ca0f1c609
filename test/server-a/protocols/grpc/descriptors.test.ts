import { expect } from 'chai';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { z } from 'zod';
import { correctDescriptors } from '../../../../server-a/protocols/grpc/descriptors.ts';
import { loadProtos } from '../../../../server-a/protocols/grpc/protos.ts';

const namedSchema = z.looseObject({ name: z.string() });
const fieldSchema = z.looseObject({ name: z.string(), typeName: z.string().optional() });
const messageSchema = z.object({
  name: z.string(),
  field: z.array(fieldSchema).default([]),
  enumType: z.array(namedSchema).default([]),
  nestedType: z.array(z.looseObject({ name: z.string(), field: z.array(fieldSchema).default([]) })).default([]),
});
const fileSchema = z.object({
  name: z.string(),
  package: z.string(),
  dependency: z.array(z.string()).default([]),
  messageType: z.array(messageSchema).default([]),
  enumType: z.array(namedSchema).default([]),
});
type File = z.infer<typeof fileSchema>;

describe('reflection descriptors', () => {
  let files: File[];

  before(async () => {
    const { files: all } = correctDescriptors(await loadProtos());
    const encoded = z.array(z.instanceof(Buffer)).parse(all?.['fileDescriptorProtos']);
    const { FileDescriptorProto } = descriptor;
    files = encoded.map((bytes) => fileSchema.parse(FileDescriptorProto.toObject(FileDescriptorProto.decode(bytes))));
  });

  function messageOf(name: string) {
    const found = files.flatMap(({ messageType }) => messageType).find((one) => one.name === name);
    if (found === undefined) throw new Error(`Expected a message ${name}`);
    return found;
  }

  function fieldOf(message: string, name: string) {
    return messageOf(message).field.find((field) => field.name === name);
  }

  it('contain each file once, with its imports', () => {
    expect(Object.fromEntries(files.map(({ name, dependency }) => [name, dependency]))).to.deep.equal({
      'service.proto': [],
      'darkroom_v1.proto': ['google_protobuf.proto'],
      'grpc_health_v1.proto': [],
      'google_protobuf.proto': [],
    });
  });

  it('contain the Struct of google/protobuf/struct.proto with all its types', () => {
    expect(fieldOf('OutputSpec', 'parameters')?.typeName).to.equal('google.protobuf.Struct');
    expect(fieldOf('ResultResponse', 'data')?.typeName).to.equal('google.protobuf.Struct');
    const wellKnown = files.find(({ name }) => name === 'google_protobuf.proto');
    expect(wellKnown?.package).to.equal('google.protobuf');
    const types = ['google.protobuf.Struct', 'google.protobuf.Struct.FieldsEntry', 'google.protobuf.Value'];
    expect(wellKnown && typesOf(wellKnown)).to.include.members([
      ...types,
      'google.protobuf.ListValue',
      'google.protobuf.NullValue',
      'google.protobuf.Timestamp',
    ]);
    expect(fieldOf('Struct', 'fields')?.typeName).to.equal('FieldsEntry');
  });

  it('declare the type of every field in the same file or in an imported one', () => {
    const unresolved = files.flatMap((file) => {
      const visible = new Set(
        files.filter((other) => other === file || file.dependency.includes(other.name)).flatMap(typesOf),
      );
      return fieldsOf(file).filter(([scope, type]) => !resolves(type, scope, visible));
    });
    expect(unresolved).to.deep.equal([]);
  });

  it('name the entries of maps like protoc', () => {
    expect(messageOf('Task').nestedType.map(({ name }) => name)).to.deep.equal(['TimingsEntry']);
    expect(fieldOf('Task', 'timings')?.typeName).to.equal('TimingsEntry');
  });

  it('distinguish optional fields from members of a oneof', () => {
    const optional = (name: string) => messageOf(name).field.filter((field) => field['proto3Optional'] === true);
    expect(optional('Box').map(({ name }) => name)).to.deep.equal(['width', 'height']);
    expect(optional('SubmitRequest')).to.deep.equal([]);
  });
});

/** Full names of the messages and enums that a file declares. */
function typesOf(file: File): string[] {
  const nested = file.messageType.flatMap(({ name, nestedType, enumType }) =>
    [...nestedType, ...enumType].map((one) => `${name}.${one.name}`),
  );
  return [...file.messageType, ...file.enumType]
    .map(({ name }) => name)
    .concat(nested)
    .map((name) => `${file.package}.${name}`);
}

/** Every field whose type has a name: the full name of its message, and the type. */
function fieldsOf(file: File): [scope: string, type: string][] {
  return file.messageType.flatMap((message) => {
    const scope = `${file.package}.${message.name}`;
    const scopes = [
      { name: scope, field: message.field },
      ...message.nestedType.map(({ name, field }) => ({ name: `${scope}.${name}`, field })),
    ];
    return scopes.flatMap(({ name, field }) =>
      field.flatMap(({ typeName }): [string, string][] => (typeName === undefined ? [] : [[name, typeName]])),
    );
  });
}

/** True when a name resolves in a scope or in one around it (descriptor.proto, FieldDescriptorProto.type_name). */
function resolves(type: string, scope: string, visible: ReadonlySet<string>): boolean {
  const parts = scope.split('.');
  const candidates = parts.map((_, index) => [...parts.slice(0, parts.length - index), type].join('.'));
  return [...candidates, type].some((name) => visible.has(name));
}
