import { expect } from 'chai';
import { readModel, writeModel, writeScalar } from '../../../server-b/model/onnx-messages.ts';
import { withoutRounding } from '../../../server-b/model/unrounded.ts';
import { quantizedModel, tinyModel } from '../../support/tiny-model.ts';

/** The operators of a model, in order. */
function operatorsOf(file: Uint8Array): string[] {
  return readModel(file).graph.node.map(({ opType }) => opType);
}

describe('withoutRounding', () => {
  it('clips a tensor to the range of its 8-bit values where the model rounds it', () => {
    const changed = withoutRounding(quantizedModel({ scale: 0.5, zeroPoint: 128 }));
    expect(operatorsOf(changed)).to.deep.equal(['Clip', 'Identity', 'ReduceMean', 'MatMul']);
    const { node, initializer } = readModel(changed).graph;
    expect(node[0]?.input[0]).to.equal('input');
    // (0 - 128) / 2 and (255 - 128) / 2
    for (const [index, limit] of [-64, 63.5].entries()) {
      const name = node[0]?.input[index + 1] ?? '';
      const value = initializer.find((one) => Buffer.compare(one, writeScalar(name, limit)) === 0);
      expect(value, `${limit}`).to.be.an('uint8array');
    }
  });

  it('keeps all else of the model', () => {
    const file = quantizedModel({ scale: 0.5, zeroPoint: 128 });
    const before = readModel(file);
    const after = readModel(withoutRounding(file));
    const added = after.graph.initializer.splice(before.graph.initializer.length);
    expect(added).to.have.length(2);
    after.graph.node.splice(0, 2, ...before.graph.node.slice(0, 2));
    expect(after).to.deep.equal(before);
  });

  it('gives a model that does not round unchanged', () => {
    const file = tinyModel();
    expect(withoutRounding(file)).to.equal(file);
    expect(Buffer.compare(Buffer.from(writeModel(readModel(file))), file)).to.equal(0);
  });

  it('leaves 8-bit values that another operator reads, or that are read with another scale', () => {
    for (const changes of [{ reader: 'MatMulInteger' }, { readerScale: 0.25 }]) {
      const file = quantizedModel({ scale: 0.5, zeroPoint: 128, ...changes });
      expect(withoutRounding(file), JSON.stringify(changes)).to.equal(file);
    }
  });

  it('leaves a model with operators older than version 11, whose Clip has no limits as inputs', () => {
    const file = quantizedModel({ scale: 0.5, zeroPoint: 128, opset: 10 });
    expect(withoutRounding(file)).to.equal(file);
  });

  it('leaves bytes that are no model, so that ONNX Runtime says what is wrong', () => {
    const file = Buffer.from('no model');
    expect(withoutRounding(file)).to.equal(file);
  });
});
