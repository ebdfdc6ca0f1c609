import { expect } from 'chai';
import { labelSchema } from '../../../../../shared/operations/classify.ts';
import { snippetSchema } from '../../../../../shared/snippet.ts';
import { LABELS } from '../../../tasks/support.ts';
import { ask, type Fixture, FORM_TYPE, formBytes, jpeg, type Part, problemOf, startFixture } from '../http-fixture.ts';

const shownSchema = snippetSchema.extend({ labels: labelSchema.array() });
const BOXES = '[{"X":1,"Y":2.5,"W":30,"H":40,"color":"red"}]';
const URLENCODED = 'application/x-www-form-urlencoded';

describe('/snippets/<n>', () => {
  let fixture: Fixture;
  let picture: Buffer;

  before(async () => {
    picture = await jpeg();
  });

  async function start(): Promise<void> {
    fixture = await startFixture();
  }

  function put(body: Buffer, path = '/snippets/1/', type = FORM_TYPE) {
    return ask(fixture, { method: 'PUT', path, headers: { 'Content-Type': type }, body });
  }
  const putForm = (parts: readonly Part[], path?: string) => put(formBytes(parts), path);

  async function shown(answer: Promise<Awaited<ReturnType<typeof ask>>>) {
    const { status, body } = await answer;
    expect(status, body.toString()).to.equal(200);
    return shownSchema.parse(JSON.parse(body.toString()));
  }

  describe('of a new service', () => {
    beforeEach(start);
    afterEach(() => fixture.stop());

    it('accepts a picture, with and without the slash, and answers its task and labels', async () => {
      const first = await shown(putForm([['image', picture, 'opencv_frame_0.png']]));
      expect(first).to.deep.include({ name: 1, boxes: [], labels: [] });
      expect(first.task?.input).to.include({ filename: 'opencv_frame_0.png', format: 'jpeg' });
      const second = await shown(putForm([['image', picture, 'b.png']], '/snippets/1'));
      const id = second.task?.task_id ?? '';
      expect(id).not.to.equal(first.task?.task_id);
      const job = await fixture.tasks.records.begin(id);
      if (job === null) throw new Error('Expected the task to begin');
      await fixture.tasks.records.complete(job, [LABELS], {});
      for (const path of ['/snippets/1/', '/snippets/1']) {
        const { task, labels } = await shown(ask(fixture, { path }));
        expect([task?.task_id, task?.status, labels[0]?.label]).to.deep.equal([id, 'completed', 'tabby']);
      }
      const original = await ask(fixture, { path: second.task?.input.original ?? '' });
      expect(original.body.equals(picture)).to.equal(true);
      expect(original.headers['content-disposition']).to.equal('inline; filename="b-original.jpeg"');
    });

    it('accepts a picture part without Content-Type', async () => {
      const text = formBytes([['image', picture, 'a.png']])
        .toString('latin1')
        .replace('\r\nContent-Type: image/jpeg', '');
      const { task } = await shown(put(Buffer.from(text, 'latin1')));
      expect(task?.input).to.include({ filename: 'a.png', bytes: picture.length });
    });

    it('accepts boxes before and after a picture, and boxes alone in a form or a urlencoded body', async () => {
      const boxes = [{ X: 1, Y: 2.5, W: 30, H: 40 }];
      expect(
        (
          await shown(
            putForm([
              ['Boxes', BOXES],
              ['image', picture, 'a.png'],
            ]),
          )
        ).boxes,
      ).to.deep.equal(boxes);
      expect(
        (
          await shown(
            putForm([
              ['image', picture, 'a.png'],
              ['Boxes', '[]'],
            ]),
          )
        ).boxes,
      ).to.deep.equal([]);
      expect((await shown(putForm([['Boxes', BOXES]]))).boxes).to.deep.equal(boxes);
      expect((await shown(put(Buffer.from('Boxes=[]'), undefined, URLENCODED))).boxes).to.deep.equal([]);
      const encoded = Buffer.from(`Boxes=${encodeURIComponent(BOXES)}`);
      const last = await shown(put(encoded, '/snippets/2/', URLENCODED));
      expect([last.name, last.boxes, last.task]).to.deep.equal([2, boxes, null]);
    });

    it('accepts boxes as a file, before the picture and after it', async () => {
      const boxes: Part = ['Boxes', Buffer.from('[{"X":1,"Y":2,"W":3,"H":4}]'), 'Boxes'];
      const image: Part = ['image', picture, 'a.png'];
      for (const parts of [[boxes, image], [image, boxes], [boxes]]) {
        expect((await shown(putForm(parts))).boxes).to.deep.equal([{ X: 1, Y: 2, W: 3, H: 4 }]);
      }
      const spool = await fixture.pictures();
      for (const parts of [
        [image, boxes, boxes],
        [['Boxes', '[]'], image, boxes],
        [['Boxes', Buffer.from('[{'), 'Boxes'], image],
        [image, ['Boxes', Buffer.alloc(2 * 1024 * 1024 + 1, ' '), 'Boxes']],
      ] as const satisfies readonly (readonly Part[])[]) {
        expect(problemOf(await putForm(parts)).code).to.equal('BAD_REQUEST');
      }
      expect(await fixture.pictures()).to.deep.equal(spool);
    });

    it('ignores up to 31 other fields, if all texts together are within the limit', async () => {
      const image: Part = ['image', picture, 'a.png'];
      const others = (count: number, text: string) =>
        Array.from({ length: count }, (_, index): Part => [`extra-${index}`, text]);
      const { boxes } = await shown(putForm([...others(31, 'x'.repeat(4096)), image, ['Boxes', BOXES]]));
      expect(boxes.length).to.equal(1);
      for (const parts of [others(33, 'x'), [image, ...others(3, 'x'.repeat(1024 * 1024))]]) {
        expect(problemOf(await putForm(parts, '/snippets/2/')).code).to.equal('BAD_REQUEST');
      }
      expect(problemOf(await ask(fixture, { path: '/snippets/2/' })).code).to.equal('NOT_FOUND');
    });

    it('accepts a picture as the whole body, and refuses other kinds of body with 415', async () => {
      const { task } = await shown(put(picture, undefined, 'image/jpeg'));
      expect(task?.input).to.include({ filename: null, format: 'jpeg', bytes: picture.length });
      for (const type of ['application/json', 'text/plain', 'multipart/mixed']) {
        expect(problemOf(await put(Buffer.from(BOXES), undefined, type)).code, type).to.equal('UNSUPPORTED_MEDIA_TYPE');
      }
      expect(problemOf(await ask(fixture, { method: 'PUT', path: '/snippets/1/' })).code).to.equal('BAD_REQUEST');
    });

    it('accepts 10,000 boxes and no more', async () => {
      const boxes = Array.from({ length: 10_001 }, (_, X) => ({ X, Y: 0.1234567890123, W: 1, H: 1 }));
      expect((await shown(putForm([['Boxes', JSON.stringify(boxes.slice(1))]]))).boxes.length).to.equal(10_000);
      expect(problemOf(await putForm([['Boxes', JSON.stringify(boxes)]])).code).to.equal('BAD_REQUEST');
    });

    it('answers 404 before the first PUT, and for an invalid number', async () => {
      for (const name of ['7', '0', '-1', '1.5', '01', 'x', '2147483648', '99999999999999999999']) {
        expect(problemOf(await ask(fixture, { path: `/snippets/${name}/` })).code, name).to.equal('NOT_FOUND');
      }
      expect(problemOf(await putForm([['image', picture, 'a.png']], '/snippets/0/')).code).to.equal('NOT_FOUND');
      expect(problemOf(await ask(fixture, { method: 'POST', path: '/snippets/1/' })).code).to.equal(
        'METHOD_NOT_ALLOWED',
      );
    });
  });

  describe('refuses', () => {
    before(start);
    after(() => fixture.stop());

    for (const [what, parts, code] of [
      ['an empty form', [], 'BAD_REQUEST'],
      ['boxes that are not JSON', [['Boxes', '[{']], 'BAD_REQUEST'],
      ['a box without a side', [['Boxes', '[{"X":1,"Y":2,"W":3}]']], 'BAD_REQUEST'],
      ['a side that is not a number', [['Boxes', '[{"X":"1","Y":2,"W":3,"H":4}]']], 'BAD_REQUEST'],
      [
        'boxes twice',
        [
          ['Boxes', '[]'],
          ['Boxes', '[]'],
        ],
        'BAD_REQUEST',
      ],
      ['a picture under another name', [['photo', Buffer.from('x'), 'a.png']], 'BAD_REQUEST'],
      ['a file that is not a picture', [['image', Buffer.from('hello'), 'a.png']], 'UNSUPPORTED_IMAGE'],
    ] as const satisfies readonly (readonly [string, readonly Part[], string])[]) {
      it(`${what}, and stores nothing`, async () => {
        expect(problemOf(await putForm(parts)).code).to.equal(code);
        expect(problemOf(await ask(fixture, { path: '/snippets/1/' })).code).to.equal('NOT_FOUND');
        expect(await fixture.pictures()).to.deep.equal([]);
      });
    }

    it('a urlencoded body with too many fields or too many bytes', async () => {
      const names = Array.from({ length: 200_000 }, (_, count) => `n${count}`).join('&');
      expect(problemOf(await put(Buffer.from(names), undefined, URLENCODED))).to.include({
        code: 'BAD_REQUEST',
        detail: "Expected at most 32 fields in the request's body, received more",
      });
      const large = Buffer.from(`Boxes=${' '.repeat(7 * 1024 * 1024)}`);
      expect(problemOf(await put(large, undefined, URLENCODED)).code).to.equal('PAYLOAD_TOO_LARGE');
      expect(problemOf(await put(Buffer.from('Boxes=[]&Boxes=[]'), undefined, URLENCODED)).code).to.equal(
        'BAD_REQUEST',
      );
    });

    it('invalid boxes after the picture, and stores neither', async () => {
      expect(
        problemOf(
          await putForm([
            ['image', picture, 'a.png'],
            ['Boxes', 'x'],
          ]),
        ).code,
      ).to.equal('BAD_REQUEST');
      expect(await fixture.pictures()).to.deep.equal([]);
      expect(fixture.tasks.counts().pending).to.equal(0);
    });
  });
});
