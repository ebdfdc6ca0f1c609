import { expect } from 'chai';
import fc from 'fast-check';
import { z } from 'zod';
import { DARKROOM, loadProtos, serviceOf } from '../../../../server-a/protocols/grpc/protos.ts';
import { readStruct, structMessage, toStruct } from '../../../../server-a/protocols/grpc/struct.ts';

const responseSchema = z.object({ data: structMessage });

/** Any character, often ASCII. fast-check's own unit for all characters first builds a table of a million of them. */
const CHARACTER = fc.oneof(
  fc.string({ minLength: 1, maxLength: 1 }),
  fc
    .integer({ min: 0, max: 0x10ffff })
    .filter((code) => code < 0xd800 || code > 0xdfff)
    .map((code) => String.fromCodePoint(code)),
);

describe('Struct', () => {
  it('carries every JSON object over the wire and back', async () => {
    const { Result } = serviceOf(await loadProtos(), DARKROOM);
    if (Result === undefined) throw new Error('Expected a method Result');
    const { responseSerialize, responseDeserialize } = Result;
    const json = fc.jsonValue({ stringUnit: CHARACTER, maxDepth: 4 });
    // JSON has no -0. protobufjs drops the key __proto__.
    const object = fc
      .dictionary(fc.string(), json)
      .map((value) => JSON.stringify(value))
      .filter((text) => !text.includes('__proto__'))
      .map((text) => JSON.parse(text));
    fc.assert(
      fc.property(object, (value) => {
        const received = responseSchema.parse(responseDeserialize(responseSerialize({ data: toStruct(value) })));
        expect(readStruct(received.data)).to.deep.equal(value);
      }),
    );
  });

  it('is an empty object when it is absent, and leaves out undefined members', () => {
    expect([readStruct(null), readStruct(undefined)]).to.deep.equal([{}, {}]);
    expect(toStruct({ a: undefined, b: null })).to.deep.equal({ fields: { b: { nullValue: 'NULL_VALUE' } } });
  });
});
