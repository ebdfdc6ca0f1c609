import { expect } from 'chai';
import fc from 'fast-check';
import { readFields, toOutputs, UPLOAD_FIELDS } from '../../../../../server-a/protocols/http/body/upload-fields.ts';
import { Presets } from '../../../../../server-a/tasks/presets.ts';
import { DarkroomError } from '../../../../../shared/errors.ts';
import { outputSpecsSchema } from '../../../../../shared/operations/outputs.ts';

/** The message of the BAD_REQUEST for the fields; throws when they are accepted. */
function refusal(raw: Record<string, unknown>): string {
  try {
    toOutputs(readFields(raw), presets);
  } catch (error) {
    expect(error).instanceOf(DarkroomError).with.property('code', 'BAD_REQUEST');
    return error instanceof DarkroomError ? error.message : '';
  }
  throw new Error(`Expected a refusal of ${JSON.stringify(raw)}`);
}

/** The outputs without absent parameters, as they are stored. */
function outputs(raw: Record<string, unknown>): unknown {
  return JSON.parse(JSON.stringify(toOutputs(readFields(raw), presets)));
}

const presets = await Presets.load(undefined);
const classify = { name: 'classify', operation: 'classify', top_k: 5 };

describe('upload fields', () => {
  it('resizes by a factor, and classifies unless classify=false', () => {
    expect(outputs({ scale_factor: '0.5' })).deep.equal([
      { name: 'resize', operation: 'resize', scale_factor: 0.5 },
      classify,
    ]);
    expect(outputs({ scale_factor: '0.5', classify: 'false' })).deep.equal([
      { name: 'resize', operation: 'resize', scale_factor: 0.5 },
    ]);
  });

  it('resizes into a box', () => {
    const fields = { width: '640', height: '480', fit: 'cover', format: 'webp', quality: '80', grayscale: 'true' };
    expect(outputs({ ...fields, classify: '0' })).deep.equal([
      {
        name: 'resize',
        operation: 'resize',
        width: 640,
        height: 480,
        fit: 'cover',
        format: 'webp',
        quality: 80,
        grayscale: true,
      },
    ]);
    expect(outputs({ height: '480', classify: '0' })).deep.equal([
      { name: 'resize', operation: 'resize', height: 480 },
    ]);
  });

  it('cuts a circle, as PNG unless the format supports transparency', () => {
    for (const [format, expected] of [
      [undefined, 'png'],
      ['jpeg', 'png'],
      ['gif', 'png'],
      ['tiff', 'png'],
      ['png', 'png'],
      ['webp', 'webp'],
      ['avif', 'avif'],
    ]) {
      const asked = format === undefined ? {} : { format };
      expect(outputs({ circle: '256', classify: 'false', ...asked })).deep.equal([
        { name: 'circle', operation: 'circle', size: 256, format: expected },
      ]);
    }
  });

  it('only classifies with an explicit classify=true and no other field', () => {
    expect(outputs({ classify: 'true' })).deep.equal([classify]);
    expect(outputs({ classify: '1', top_k: '100' })).deep.equal([
      { name: 'classify', operation: 'classify', top_k: 100 },
    ]);
  });

  it('returns all three outputs, resize first and labels last', () => {
    const all = { top_k: '3', circle: '64', scale_factor: '1' };
    expect(toOutputs(readFields(all), presets).map((one) => one.operation)).deep.equal([
      'resize',
      'circle',
      'classify',
    ]);
  });

  for (const text of ['0.5', '.5', '5e-1', '5E-1', '10', '1.', '1e1', '1e-1', '0.000001']) {
    it(`accepts scale_factor ${text}`, () => {
      expect(readFields({ scale_factor: text }).scale_factor).equal(Number(text));
    });
  }

  it('ignores white space around a value, and the case of true and false', () => {
    const fields = { scale_factor: ' 0.5\r\n', format: 'webp ', grayscale: 'True', classify: 'FALSE' };
    expect(readFields(fields)).deep.equal({ scale_factor: 0.5, format: 'webp', grayscale: true, classify: false });
  });

  const numbers = ['1 0', '0', '-1', '+1', '11', '10.000001', '0x1', '1e309', '1e-400', 'NaN', 'Infinity'];
  for (const text of [...numbers, 'abc', '1,5', '.', '1e', '٣', '1_0', 'null']) {
    it(`refuses scale_factor ${JSON.stringify(text)}`, () => {
      expect(refusal({ scale_factor: text })).equal(
        `Expected a number in (0, 10] for scale_factor, received '${text}'`,
      );
    });
  }

  for (const text of ['0', '-1', '1.5', '16385', '1e2', '0x10', 'NaN', '1 2', '99999999999999999999']) {
    it(`refuses width ${JSON.stringify(text)}`, () => {
      expect(refusal({ width: text })).equal(`Expected a whole number in [1, 16384] for width, received '${text}'`);
    });
  }

  it('names the allowed values in every refusal', () => {
    expect(refusal({ height: '0' })).equal("Expected a whole number in [1, 16384] for height, received '0'");
    expect(refusal({ circle: '16385' })).equal("Expected a whole number in [1, 16384] for circle, received '16385'");
    expect(refusal({ quality: '101' })).equal("Expected a whole number in [1, 100] for quality, received '101'");
    expect(refusal({ top_k: '0' })).equal("Expected a whole number in [1, 100] for top_k, received '0'");
    expect(refusal({ fit: 'stretch' })).equal(
      "Expected one of cover, contain, fill, inside, outside for fit, received 'stretch'",
    );
    expect(refusal({ format: 'bmp' })).equal(
      "Expected one of jpeg, png, webp, avif, gif, tiff for format, received 'bmp'",
    );
    expect(refusal({ format: 'toString' })).contain('for format');
    expect(refusal({ classify: 'yes' })).equal("Expected true or false for classify, received 'yes'");
    expect(refusal({ grayscale: '-' })).equal("Expected true or false for grayscale, received '-'");
  });

  it('refuses a field given twice', () => {
    expect(refusal({ scale_factor: ['0.5', '0.6'] })).equal(
      'Expected one value for scale_factor, received ["0.5","0.6"]',
    );
  });

  it('refuses a field with brackets', () => {
    expect(refusal({ 'width[]': '1' })).equal("Expected one value for width, received '1'");
    expect(refusal({ 'width[a]': '' })).equal("Expected one value for width, received ''");
  });

  it('takes every known field that is blank as not given', () => {
    const blanks = Object.fromEntries(
      UPLOAD_FIELDS.flatMap((name) => [[name, name.length % 2 === 0 ? '' : ' \t\r\n']]),
    );
    expect(readFields(blanks)).deep.equal({});
    expect(readFields({ ...blanks, scale_factor: '0.5', fit: ['', ' '] })).deep.equal({ scale_factor: 0.5 });
    expect(readFields({ width: ['', '9'], format: ['png', ''] })).deep.equal({ width: 9, format: 'png' });
    expect(refusal({ width: ['8', '', '9'] })).equal('Expected one value for width, received ["8","9"]');
  });

  it('refuses an unknown field that is blank', () => {
    expect(refusal({ scale: '', scale_factor: '1' })).match(/received 'scale'$/);
  });

  it("refuses an unknown field, and the name of an object's own member", () => {
    expect(refusal({ scale: '0.5' })).match(/^Expected one of scale_factor, .* for a field's name, received 'scale'$/);
    expect(refusal(JSON.parse('{"__proto__": "1", "scale_factor": "1"}'))).contain("received '__proto__'");
    expect(refusal({ constructor: '1' })).contain("received 'constructor'");
  });

  it('refuses a picture sent as text', () => {
    expect(refusal({ image: 'hello' })).equal("Expected a file for image, received 'hello'");
  });

  it('refuses a factor together with a side', () => {
    const message = 'Expected scale_factor or width and height, received both';
    expect(refusal({ scale_factor: '0.5', width: '100' })).equal(message);
    expect(refusal({ scale_factor: '0.5', height: '100' })).equal(message);
  });

  for (const fields of [{}, { classify: 'false' }, { top_k: '3' }, { format: 'webp' }, { quality: '5' }]) {
    it(`refuses ${JSON.stringify(fields)}, which makes no output`, () => {
      expect(refusal(fields)).equal(
        'Expected at least one of scale_factor, width, height, circle or classify=true, received none',
      );
    });
  }

  it('refuses fields without effect', () => {
    expect(refusal({ scale_factor: '1', fit: 'cover' })).equal('Expected width or height with fit, received neither');
    expect(refusal({ classify: 'true', format: 'png' })).contain('(scale_factor=1 keeps the size)');
    expect(refusal({ scale_factor: '1', classify: 'false', top_k: '3' })).equal(
      'Expected classify with top_k, received classify=false',
    );
  });

  it('accepts every number in its interval, in every notation, and none outside', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        const raw = { scale_factor: String(value) };
        if (value > 0 && value <= 10) expect(readFields(raw).scale_factor).equal(value);
        else expect(refusal(raw)).contain('for scale_factor');
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -20_000, max: 40_000 }), (value) => {
        const raw = { width: String(value) };
        if (value >= 1 && value <= 16_384) expect(readFields(raw).width).equal(value);
        else expect(refusal(raw)).contain('for width');
      }),
    );
  });

  it('returns valid outputs or throws BAD_REQUEST, for any texts', () => {
    const value = fc.oneof(
      fc.constantFrom('1', '0.5', '100', 'true', 'false', 'png', 'cover', ''),
      fc.string(),
      fc.array(fc.string()),
      fc.dictionary(fc.string(), fc.string()),
    );
    const name = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...UPLOAD_FIELDS) }, fc.string());
    fc.assert(
      fc.property(fc.dictionary(name, value, { maxKeys: 5 }), (raw) => {
        try {
          outputSpecsSchema.parse(toOutputs(readFields(raw), presets));
        } catch (error) {
          expect(error).instanceOf(DarkroomError).with.property('code', 'BAD_REQUEST');
        }
      }),
      { numRuns: 500 },
    );
  });
});
