import protobuf from 'protobufjs/light.js';
import { z } from 'zod';

// The messages of ONNX (onnx/onnx.proto, release 1.19) as far as a change of a graph's nodes needs them. A message that
// is copied unchanged is a field of bytes: its encoding is the same. All fields of the changed messages are here, because
// protobufjs drops a field that it does not know.

const bytes = (id: number) => ({ type: 'bytes', id });
const text = (id: number) => ({ type: 'string', id });
const integer = (id: number) => ({ type: 'int64', id });
const many = (field: { readonly type: string; readonly id: number }) => ({ rule: 'repeated', ...field });

const root = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: integer(1),
        producerName: text(2),
        producerVersion: text(3),
        domain: text(4),
        modelVersion: integer(5),
        docString: text(6),
        graph: { type: 'GraphProto', id: 7 },
        opsetImport: many({ type: 'OperatorSetIdProto', id: 8 }),
        metadataProps: many(bytes(14)),
        trainingInfo: many(bytes(20)),
        functions: many(bytes(25)),
        configuration: many(bytes(26)),
      },
    },
    OperatorSetIdProto: { fields: { domain: text(1), version: integer(2) } },
    GraphProto: {
      fields: {
        node: many({ type: 'NodeProto', id: 1 }),
        name: text(2),
        initializer: many(bytes(5)),
        docString: text(10),
        input: many(bytes(11)),
        output: many(bytes(12)),
        valueInfo: many(bytes(13)),
        quantizationAnnotation: many(bytes(14)),
        sparseInitializer: many(bytes(15)),
        metadataProps: many(bytes(16)),
      },
    },
    NodeProto: {
      fields: {
        input: many(text(1)),
        output: many(text(2)),
        name: text(3),
        opType: text(4),
        attribute: many(bytes(5)),
        docString: text(6),
        domain: text(7),
        overload: text(8),
        metadataProps: many(bytes(9)),
        deviceConfigurations: many(bytes(10)),
      },
    },
    // Only what a scalar consists of: these two are never written back.
    TensorProto: {
      fields: {
        dims: many(integer(1)),
        dataType: { type: 'int32', id: 2 },
        floatData: many({ type: 'float', id: 4 }),
        int32Data: many({ type: 'int32', id: 5 }),
        name: text(8),
        rawData: bytes(9),
      },
    },
    ValueInfoProto: { fields: { name: text(1) } },
  },
});

/** TensorProto.DataType. */
export const DATA_TYPE = { float: 1, uint8: 2, int8: 3 } as const;

const nodeSchema = z.looseObject({
  input: z.array(z.string()),
  output: z.array(z.string()),
  opType: z.string(),
  domain: z.string().optional(),
});
export type Node = z.infer<typeof nodeSchema>;

const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const modelSchema = z.looseObject({
  opsetImport: z.array(z.object({ domain: z.string().default(''), version: z.number() })),
  graph: z.looseObject({
    node: z.array(nodeSchema),
    initializer: z.array(bytesSchema),
    output: z.array(bytesSchema),
  }),
});
export type Model = z.infer<typeof modelSchema>;

const tensorSchema = z.object({
  dims: z.array(z.number()),
  dataType: z.number(),
  floatData: z.array(z.number()),
  int32Data: z.array(z.number()),
  name: z.string().default(''),
  rawData: bytesSchema.optional(),
});
export type Tensor = z.infer<typeof tensorSchema>;

/** Reads an .onnx file. Throws when the bytes are not a model. */
export function readModel(file: Uint8Array): Model {
  return modelSchema.parse(read('ModelProto', file));
}

/** The bytes of an .onnx file. */
export function writeModel(model: Model): Uint8Array {
  return write('ModelProto', model);
}

/** Reads an initializer. Its large fields are views of the bytes. */
export function readTensor(initializer: Uint8Array): Tensor {
  return tensorSchema.parse(read('TensorProto', initializer));
}

/** An initializer with one float32 value and no dimensions. */
export function writeScalar(name: string, value: number): Uint8Array {
  const rawData = new Uint8Array(4);
  new DataView(rawData.buffer).setFloat32(0, value, true);
  return write('TensorProto', { dataType: DATA_TYPE.float, name, rawData });
}

/** The name of a graph's input or output. */
export function readName(port: Uint8Array): string {
  return z.object({ name: z.string() }).parse(read('ValueInfoProto', port)).name;
}

function read(message: string, encoded: Uint8Array): unknown {
  const type = root.lookupType(message);
  return type.toObject(type.decode(encoded), { longs: Number, arrays: true });
}

function write(message: string, value: Record<string, unknown>): Uint8Array {
  const type = root.lookupType(message);
  return type.encode(type.fromObject(value)).finish();
}
