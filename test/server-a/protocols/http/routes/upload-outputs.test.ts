import { expect } from 'chai';
import { beginJob } from '../../../tasks/support.ts';
import { PRESETS, usePresetsFile } from '../../presets-file.ts';
import {
  type Answer,
  ask,
  expectNothingLeft,
  type Fixture,
  jpeg,
  type Part,
  postForm,
  postRaw,
  problemOf,
  startFixture,
  taskOf,
} from '../http-fixture.ts';

const THUMB = { name: 'thumb', width: 20, fit: 'cover', height: 20, gravity: 'north' };
const HASH = { name: 'hash-2', operation: 'placeholder' };
const LISTED = [{ operation: 'resize', ...THUMB }, HASH];

describe('POST /upload with named outputs', () => {
  const presets = usePresetsFile();
  let fixture: Fixture;
  let picture: Buffer;

  before(async () => {
    fixture = await startFixture({ presets: presets(), maxPixels: 100_000 });
    picture = await jpeg();
  });

  after(() => fixture.stop());

  type Send = (fields: Readonly<Record<string, string>>) => Promise<Answer>;
  const inForm: Send = (fields) => postForm(fixture, [['image', picture, 'cat.jpg'], ...Object.entries(fields)]);
  const formFirst: Send = (fields) => postForm(fixture, [...Object.entries(fields), ['image', picture, 'cat.jpg']]);
  const inQuery: Send = (fields) => postRaw(fixture, `?${new URLSearchParams(fields)}`, picture);
  const ways: readonly (readonly [string, Send])[] = [
    ['in a form, after the picture', inForm],
    ['in a form, before the picture', formFirst],
    ['in the query', inQuery],
  ];

  /** The outputs of the task in the answer, which then ends. */
  async function specsOf(answer: Answer): Promise<unknown> {
    expect(answer.status, answer.body.toString()).equal(202);
    const { task_id } = taskOf(answer);
    const { specs } = await beginJob(fixture.tasks, task_id);
    await fixture.tasks.cancel(task_id);
    return specs;
  }

  for (const [where, send] of ways) {
    describe(where, () => {
      it('makes the listed outputs, with resize as the default operation, and no labels', async () => {
        expect(await specsOf(await send({ outputs: JSON.stringify([THUMB, HASH]) }))).deep.equal(LISTED);
      });

      it('makes the outputs of one preset, and of several', async () => {
        expect(await specsOf(await send({ preset: 'avatar' }))).deep.equal(PRESETS.avatar);
        const both = [...PRESETS.blurry, ...PRESETS.avatar];
        expect(await specsOf(await send({ preset: 'blurry, avatar' }))).deep.equal(both);
      });

      it('makes the outputs of a preset before the listed ones', async () => {
        const outputs = JSON.stringify([THUMB, HASH]);
        expect(await specsOf(await send({ preset: 'avatar', outputs }))).deep.equal([...PRESETS.avatar, ...LISTED]);
      });

      const many = Array.from({ length: 17 }, (_, index) => ({ name: `thumb-${index}`, width: 9 }));
      const refused: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
        ['a text that is not JSON', { outputs: '[{' }, /for outputs, received '\[\{'$/],
        ['an object', { outputs: '{}' }, /for outputs, received '\{\}'$/],
        ['an empty list', { outputs: '[]' }, /1 to 16 outputs .*received 0$/],
        ['17 outputs', { outputs: JSON.stringify(many) }, /1 to 16 outputs .*received 17$/],
        ['two outputs with the same name', { outputs: JSON.stringify([THUMB, THUMB]) }, /received 'thumb' twice$/],
        [
          'a listed output with the name of an output of the preset',
          { preset: 'avatar', outputs: '[{"name":"small","width":9}]' },
          /received 'small' twice$/,
        ],
        [
          'an unknown operation',
          { outputs: '[{"name":"thumb","operation":"paint"}]' },
          /resize, circle, classify, placeholder for operation of the output thumb, received 'paint'$/,
        ],
        [
          'a value out of range',
          { outputs: '[{"name":"thumb","width":9},{"name":"big","width":0}]' },
          /for width of the output big, received 0$/,
        ],
        [
          'a flat field together with outputs',
          { outputs: JSON.stringify([THUMB]), width: '9' },
          /^Expected no width beside outputs/,
        ],
        [
          'a flat field together with a preset',
          { preset: 'avatar', classify: 'true' },
          /^Expected no classify beside preset/,
        ],
        ['an unknown preset', { preset: 'poster' }, /one of avatar, blurry for preset, received 'poster'$/],
      ];
      for (const [what, fields, message] of refused) {
        it(`refuses ${what}`, async () => {
          const problem = problemOf(await send(fields));
          expect(problem).include({ status: 400, code: 'BAD_REQUEST' });
          expect(problem.detail).match(message);
          await expectNothingLeft(fixture);
        });
      }

      it('refuses an unknown field, and names its output', async () => {
        const { detail } = problemOf(await send({ outputs: '[{"name":"thumb","widht":9}]' }));
        expect(detail).match(/of the output thumb, received 'widht'$/);
        await expectNothingLeft(fixture);
      });

      it('refuses outputs that are too large together, and names the one that exceeds the limit', async () => {
        const side = (name: string) => ({ name, width: 250, height: 150, fit: 'fill' });
        const problem = problemOf(await send({ outputs: JSON.stringify(['a', 'b', 'c', 'd'].map(side)) }));
        expect(problem).include({ status: 413, code: 'IMAGE_TOO_LARGE' });
        expect(problem.detail).match(/at most 100000 pixels .*\bc\b.*112500$/);
        await expectNothingLeft(fixture);
      });
    });
  }

  it('allows classify=false with outputs, because it makes no output', async () => {
    const fields = { outputs: JSON.stringify([THUMB, HASH]), classify: 'false' };
    expect(await specsOf(await inForm(fields))).deep.equal(LISTED);
  });

  describe('from a URL', () => {
    // Port 1 is closed, so the task fails, but only after its outputs have been read.
    const url = ['url', 'http://127.0.0.1:1/cat.jpg'] as const;

    it('stores the task with the listed outputs', async () => {
      const outputs = JSON.stringify([THUMB, HASH]);
      for (const parts of [
        [url, ['outputs', outputs] as const],
        [url, ['preset', 'avatar'] as const],
      ] satisfies Part[][]) {
        const answer = await postForm(fixture, parts);
        expect(answer.status).equal(202);
        expect(taskOf(answer).input.source_url).equal(url[1]);
      }
      const query = new URLSearchParams({ url: url[1], outputs });
      expect((await ask(fixture, { method: 'POST', path: `/upload?${query}` })).status).equal(202);
    });

    it('refuses an invalid list', async () => {
      const problem = problemOf(await postForm(fixture, [url, ['outputs', '[{"name":"thumb","width":0}]']]));
      expect(problem).include({ status: 400, code: 'BAD_REQUEST' });
      expect(problem.detail).contain('for width of the output thumb');
    });
  });
});
