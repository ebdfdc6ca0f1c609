import { expect } from 'chai';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { z } from 'zod';
import { correctDescriptors } from '../../../../server-a/protocols/grpc/descriptors.ts';
import { loadProtos } from '../../../../server-a/protocols/grpc/protos.ts';

const fileSchema = z.object({
  name: z.string(),
  dependency: z.array(z.string()).default([]),
  messageType: z.array(
    z.object({
      name: z.string(),
      field: z.array(z.looseObject({ name: z.string(), typeName: z.string().optional() })).default([]),
      nestedType: z.array(z.looseObject({ name: z.string() })).default([]),
    }),
  ),
});

describe('reflection descriptors', () => {
  let files: z.infer<typeof fileSchema>[];

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

  it('have each file once, with the files it imports', () => {
    expect(Object.fromEntries(files.map(({ name, dependency }) => [name, dependency]))).to.deep.equal({
      'service.proto': [],
      'darkroom_v1.proto': ['google_protobuf.proto'],
      'grpc_health_v1.proto': [],
      'google_protobuf.proto': [],
    });
  });

  it("name the entries of maps in protoc's way", () => {
    const { field, nestedType } = messageOf('Task');
    expect(nestedType.map(({ name }) => name)).to.deep.equal(['TimingsEntry']);
    expect(field.find(({ name }) => name === 'timings')?.typeName).to.equal('TimingsEntry');
  });

  it('tell optional fields from members of a oneof', () => {
    const optional = (name: string) => messageOf(name).field.filter((field) => field['proto3Optional'] === true);
    expect(optional('Box').map(({ name }) => name)).to.deep.equal(['width', 'height']);
    expect(optional('SubmitRequest')).to.deep.equal([]);
  });
});
