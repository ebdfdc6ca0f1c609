import { expect } from 'chai';
import fc from 'fast-check';
import {
  DarkroomError,
  describeError,
  ERROR_CODES,
  ERRORS,
  expectedMessage,
  invalid,
  isErrorCode,
  systemCode,
} from '../../shared/errors.ts';

/** The table of the design: code, HTTP status, gRPC status, and if the client may retry. */
const TABLE = `
  BAD_REQUEST             400  INVALID_ARGUMENT     no
  UNAUTHENTICATED         401  UNAUTHENTICATED      no
  PATH_NOT_ALLOWED        403  PERMISSION_DENIED    no
  URL_NOT_ALLOWED         403  PERMISSION_DENIED    no
  ORIGIN_NOT_ALLOWED      403  PERMISSION_DENIED    no
  TASK_NOT_FOUND          404  NOT_FOUND            no
  NOT_FOUND               404  NOT_FOUND            no
  METHOD_NOT_ALLOWED      405  UNIMPLEMENTED        no
  REQUEST_TIMEOUT         408  DEADLINE_EXCEEDED    yes
  NOT_READY               409  FAILED_PRECONDITION  later
  EXPIRED                 410  NOT_FOUND            no
  PAYLOAD_TOO_LARGE       413  RESOURCE_EXHAUSTED   no
  IMAGE_TOO_LARGE         413  RESOURCE_EXHAUSTED   no
  UNSUPPORTED_IMAGE       415  INVALID_ARGUMENT     no
  UNSUPPORTED_MEDIA_TYPE  415  INVALID_ARGUMENT     no
  RANGE_NOT_SATISFIABLE   416  OUT_OF_RANGE         no
  IMAGE_CORRUPT           422  INVALID_ARGUMENT     no
  QUARANTINED             422  INVALID_ARGUMENT     no
  IDEMPOTENCY_CONFLICT    422  INVALID_ARGUMENT     no
  UPGRADE_REQUIRED        426  UNIMPLEMENTED        no
  QUEUE_FULL              429  RESOURCE_EXHAUSTED   later
  RATE_LIMITED            429  RESOURCE_EXHAUSTED   later
  CANCELED                499  CANCELLED            no
  INTERNAL                500  INTERNAL             no
  WORKER_CRASHED          500  INTERNAL             no
  SPOOL_CORRUPT           500  INTERNAL             no
  SOURCE_ERROR            502  UNAVAILABLE          yes
  DRAINING                503  UNAVAILABLE          later
  MODEL_UNAVAILABLE       503  UNAVAILABLE          later
  BACKEND_UNAVAILABLE     503  UNAVAILABLE          later
  TIMEOUT                 504  DEADLINE_EXCEEDED    no
  SOURCE_TIMEOUT          504  DEADLINE_EXCEEDED    no
  STORAGE_FULL            507  RESOURCE_EXHAUSTED   later
`;

describe('errors', () => {
  it('have the codes and statuses of the design, and no others', () => {
    const rows = TABLE.trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
    const expected = Object.fromEntries(
      rows.map(([code, http, grpc, retry]) => [code, { http: Number(http), grpc, retry }]),
    );
    const statuses = Object.entries(ERRORS).map(([code, { http, grpc, retry }]) => [code, { http, grpc, retry }]);
    expect(Object.fromEntries(statuses)).to.deep.equal(expected);
    expect(ERROR_CODES).to.deep.equal(rows.map(([code]) => code));
  });

  it('each have one sentence, fit for a table, about when a client gets the code', () => {
    const sentences = Object.values(ERRORS).map(({ when }) => when);
    for (const when of sentences) expect(when).to.match(/^[A-Z][^|\n]{10,110}\.$/);
    expect(new Set(sentences).size).to.equal(sentences.length);
  });

  it("accept a code only, not another text or the name of an object's own member", () => {
    expect(isErrorCode('TIMEOUT')).to.equal(true);
    for (const text of ['timeout', '', 'toString', '__proto__']) expect(isErrorCode(text)).to.equal(false);
  });

  describe('say what was expected and what was received', () => {
    for (const [received, shown] of [
      ['abc', "'abc'"],
      ['', "''"],
      [undefined, 'nothing'],
      [null, 'null'],
      [-1, '-1'],
      [Number.NaN, 'NaN'],
      [Number.POSITIVE_INFINITY, 'Infinity'],
      [10n, '10'],
      [false, 'false'],
      [[1, 2], '[1,2]'],
      [{ a: 1 }, '{"a":1}'],
    ] as const) {
      it(`for ${typeof received} ${shown}`, () => {
        expect(expectedMessage('a number in (0, 10]', 'scale_factor', received)).to.equal(
          `Expected a number in (0, 10] for scale_factor, received ${shown}`,
        );
      });
    }

    it('in a BAD_REQUEST', () => {
      expect(invalid('a number', 'width', 'x'))
        .to.be.instanceOf(DarkroomError)
        .and.include({
          name: 'DarkroomError',
          code: 'BAD_REQUEST',
          message: "Expected a number for width, received 'x'",
        });
    });

    it('and truncate the value to 60 characters, but never split a character', () => {
      const shown = (received: unknown) =>
        expectedMessage('x', 'y', received).slice('Expected x for y, received '.length);
      expect(shown('a'.repeat(58))).to.equal(`'${'a'.repeat(58)}'`);
      expect(shown('a'.repeat(59))).to.equal(`'${'a'.repeat(58)}…`);
      expect(shown(`${'a'.repeat(57)}😀😀`)).to.equal(`'${'a'.repeat(57)}…`);
    });

    it('for any value, even one that contains itself', () => {
      const circle: unknown[] = [];
      circle.push(circle);
      const anything = fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true, withMap: true });
      fc.assert(
        fc.property(fc.oneof(fc.constant(circle), anything), (received) => {
          expect(expectedMessage('x', 'y', received)).to.match(/^Expected x for y, received .{1,60}$/s);
        }),
      );
    });
  });

  it('show a client the message of a DarkroomError, and only INTERNAL for any other error', () => {
    expect(describeError(new DarkroomError('EXPIRED', 'gone'))).to.deep.equal({ code: 'EXPIRED', message: 'gone' });
    for (const thrown of [new Error('secret'), new TypeError('secret'), 'secret', undefined, { message: 'secret' }]) {
      const described = describeError(thrown);
      expect(described.code).to.equal('INTERNAL');
      expect(described.message).to.not.contain('secret');
    }
  });

  it('keep their cause', () => {
    const cause = new Error('below');
    expect(new DarkroomError('INTERNAL', 'above', { cause }).cause).to.equal(cause);
  });

  it("return the system's code of an error that has one", () => {
    expect(systemCode(Object.assign(new Error('no such file'), { code: 'ENOENT' }))).to.equal('ENOENT');
    for (const thrown of [
      new Error('plain'),
      Object.assign(new Error('number'), { code: 7 }),
      { code: 'ENOENT' },
      null,
    ]) {
      expect(systemCode(thrown)).to.equal(undefined);
    }
  });
});
