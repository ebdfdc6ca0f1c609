import { expect } from 'chai';
import { Command } from 'commander';
import fc from 'fast-check';
import { shieldTaskIds, taskIdArgument } from '../../bin/task-id.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-';
const FLAG_LIKE = ['', '-', '--', '-h', '-o', '--wait', '--wait-', '--json', '--json_', '--help'];

describe('task id on the command line', () => {
  /** The id, flags and options that `status` parses from these words. */
  function parse(words: readonly string[]): { id: string; options: Record<string, unknown> } {
    const command = new Command('status').addArgument(taskIdArgument()).option('--wait').option('-o, --output <path>');
    const program = new Command().exitOverride().addCommand(command.exitOverride());
    let id = '';
    command.action((given: string) => {
      id = given;
    });
    program.parse(shieldTaskIds(words), { from: 'user' });
    return { id, options: command.opts() };
  }

  it('is parsed completely in every position, even if it begins like a flag', () => {
    const anyId = fc
      .tuple(
        fc.constantFrom(...FLAG_LIKE),
        fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 21, maxLength: 21 }),
      )
      .map(([start, rest]) => (start + rest).slice(0, 21));
    fc.assert(
      fc.property(anyId, (id) => {
        expect(parse(['status', id])).to.deep.equal({ id, options: {} });
        expect(parse(['status', '--wait', id])).to.deep.equal({ id, options: { wait: true } });
        expect(parse(['status', id, '-o', 'a.jpg'])).to.deep.equal({ id, options: { output: 'a.jpg' } });
      }),
    );
  });

  it('does not change flags, or the words of other commands', () => {
    expect(shieldTaskIds(['status', '--wait', '-o', 'a.jpg'])).to.deep.equal(['status', '--wait', '-o', 'a.jpg']);
    const words = ['upload', '-AAAAAAAAAAAAAAAAAAAA'];
    expect(shieldTaskIds(words)).to.deep.equal(words);
  });
});
