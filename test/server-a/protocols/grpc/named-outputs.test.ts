import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { z } from 'zod';
import { toStruct } from '../../../../server-a/protocols/grpc/struct.ts';
import { beginJob, discardTask, makePicture, submitPicture } from '../../tasks/support.ts';
import { expectNothingLeft } from '../http/http-fixture.ts';
import { PRESETS, usePresetsFile } from '../presets-file.ts';
import { collect, failureOf } from './grpc-client.ts';
import { type Fixture, startFixture } from './grpc-fixture.ts';

const taskSchema = z.looseObject({ task_id: z.string(), outputs: z.array(z.looseObject({})) });

/** An `OutputSpec` with its parameters as a Struct. */
function output(name: string, operation: string, parameters?: Readonly<Record<string, unknown>>): object {
  return { name, operation, ...(parameters === undefined ? {} : { parameters: toStruct(parameters) }) };
}

describe('darkroom.v1.Darkroom with named outputs', () => {
  const presets = usePresetsFile();
  let fixture: Fixture;

  before(async () => {
    fixture = await startFixture({ presets: presets() });
  });

  after(() => fixture.stop());

  async function submit(options: object): Promise<object> {
    const { call, answer } = fixture.darkroom.clientStream('Submit');
    call.write({ options });
    call.write({ chunk: await makePicture() });
    call.end();
    return answer;
  }

  /** The outputs of the options, as the dispatcher gets them. */
  async function specsOf(options: object): Promise<unknown> {
    const { task_id } = taskSchema.parse(await submit(options));
    const { specs } = await beginJob(fixture.tasks, task_id);
    await discardTask(fixture.tasks, task_id);
    return specs;
  }

  describe('Submit', () => {
    it('reads texts, numbers and booleans of parameters from their Struct', async () => {
      const parameters = { width: 20, height: 10, fit: 'cover', flip: true, sharpen: 0.5, format: 'webp' };
      const outputs = [output('thumb', 'resize', parameters), output('half', '', { scale_factor: 0.5 })];
      expect(await specsOf({ outputs: [...outputs, output('hash', 'placeholder')] })).to.deep.equal([
        { name: 'thumb', operation: 'resize', ...parameters },
        { name: 'half', operation: 'resize', scale_factor: 0.5 },
        { name: 'hash', operation: 'placeholder' },
      ]);
    });

    it('makes the outputs of presets in the order of the presets', async () => {
      const both = [...PRESETS.blurry, ...PRESETS.avatar];
      expect(await specsOf({ presets: ['blurry', 'avatar'] })).to.deep.equal(both);
    });

    it('makes the outputs of presets before the listed ones', async () => {
      const outputs = [output('half', 'resize', { scale_factor: 0.5 })];
      expect(await specsOf({ presets: ['avatar'], outputs })).to.deep.equal([
        ...PRESETS.avatar,
        { name: 'half', operation: 'resize', scale_factor: 0.5 },
      ]);
    });

    const many = Array.from({ length: 17 }, (_, index) => output(`thumb-${index}`, 'resize', { width: 9 }));
    const refused: readonly (readonly [string, object, RegExp])[] = [
      ['a value out of range', { outputs: [output('big', 'resize', { width: 0 })] }, /width of the output big, .* 0$/],
      ['a text for a number', { outputs: [output('big', '', { width: '9' })] }, /width of the output big, .*'9'$/],
      [
        'an object for a number',
        { outputs: [output('big', '', { width: { a: [null, 1] } })] },
        /width of the output big/,
      ],
      ['an unknown parameter', { outputs: [output('big', '', { widht: 9 })] }, /of the output big, received 'widht'$/],
      ['an unknown operation', { outputs: [output('big', 'paint')] }, /operation of the output big, received 'paint'$/],
      ['an invalid name', { outputs: [output('a b', 'resize', { width: 9 })] }, /name of output 1, received 'a b'$/],
      ['two outputs with the same name', { outputs: [many[0], many[0]] }, /'thumb-0' twice$/],
      [
        "a listed output with the name of a preset's output",
        { presets: ['avatar'], outputs: [output('small', 'placeholder')] },
        /'small' twice$/,
      ],
      ['17 outputs', { outputs: many }, /1 to 16 outputs .*received 17$/],
      ['an unknown preset', { presets: ['poster'] }, /one of avatar, blurry for preset, received 'poster'$/],
      [
        'resize together with outputs',
        { outputs: [many[0]], resize: { scale_factor: 1 } },
        /^Expected no resize beside outputs/,
      ],
      [
        'circle together with presets',
        { presets: ['avatar'], circle: { size: 9 } },
        /^Expected no circle beside outputs/,
      ],
    ];
    for (const [what, options, details] of refused) {
      it(`refuses ${what}`, async () => {
        const failure = await failureOf(submit(options));
        expect([failure.code, failure.darkroom]).to.deep.equal([status.INVALID_ARGUMENT, 'BAD_REQUEST']);
        expect(failure.details).to.match(details);
        await expectNothingLeft(fixture);
      });
    }
  });

  it('returns the data of a placeholder as a Struct, with the name of its operation, from Get and Result', async () => {
    const { darkroom, tasks } = fixture;
    const { task_id } = await submitPicture(tasks, [{ name: 'hash', operation: 'placeholder' }]);
    const data = { thumbhash: '1QcSHQRnh493V4dIh4eXh1h4kJUI', dominant_color: '#102030', aspect_ratio: 1.3333 };
    const header = { kind: 'data' as const, name: 'hash', operation: 'placeholder' as const, data };
    await tasks.records.complete(await beginJob(tasks, task_id), [{ header, sha256: null }], {});
    const struct = {
      fields: {
        thumbhash: { kind: 'stringValue', stringValue: data.thumbhash },
        dominant_color: { kind: 'stringValue', stringValue: data.dominant_color },
        aspect_ratio: { kind: 'numberValue', numberValue: data.aspect_ratio },
      },
    };
    const { outputs } = taskSchema.parse(await darkroom.unary('Get', { task_id }));
    expect(outputs).to.deep.equal([
      {
        name: 'hash',
        operation: 'OPERATION_UNSPECIFIED',
        operation_name: 'placeholder',
        outcome: 'data',
        data: struct,
      },
    ]);
    const messages = await collect(darkroom.serverStream('Result', { task_id, name: 'hash' }));
    expect(messages).to.deep.equal([{ part: 'data', data: struct }]);
    await discardTask(tasks, task_id);
  });
});
