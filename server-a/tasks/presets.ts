import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DarkroomError, expectedMessage, invalid, systemCode } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json.ts';
import { outputNameSchema } from '../../shared/operations/definition.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import { checkOutputs, readOutputs } from '../../shared/operations/outputs.ts';

const fileSchema = z.record(z.string(), z.unknown());

/** Named lists of outputs from the operator, so that clients ask for `avatar` instead of its parameters. */
export class Presets {
  readonly #lists: ReadonlyMap<string, readonly OutputSpec[]>;

  private constructor(lists: ReadonlyMap<string, readonly OutputSpec[]>) {
    this.#lists = lists;
  }

  /**
   * Reads a file of the form `{ "avatar": [outputs…], … }`; without a path there are no presets. Throws BAD_REQUEST for
   * an invalid file; the message names the preset, the output and the field.
   */
  static async load(path: string | undefined): Promise<Presets> {
    if (path === undefined) return new Presets(new Map());
    const parsed = fileSchema.safeParse(parseJson(await readText(path)));
    if (!parsed.success) throw invalid('a file with a JSON object of lists', '--presets', path);
    const lists = Object.entries(parsed.data).map(([name, list]): [string, OutputSpec[]] => {
      if (!outputNameSchema.safeParse(name).success) {
        throw invalid("1 to 32 of a-z, 0-9 and '-', not beginning with '-',", 'the name of a preset', name);
      }
      return [name, readOutputs(list, list, ` of the preset ${name}`)];
    });
    return new Presets(new Map(lists));
  }

  /** Every preset by its name, for {@link JSON.stringify}. */
  toJSON(): Readonly<Record<string, readonly OutputSpec[]>> {
    return Object.fromEntries(this.#lists);
  }

  /**
   * The outputs of the presets `names`, in that order, then `outputs`. `names` is one name or several, separated by
   * commas. Throws BAD_REQUEST for an unknown name, two outputs with the same name, or more than 16 outputs.
   */
  resolve(names: string | undefined, outputs: readonly OutputSpec[] = []): OutputSpec[] {
    const presets = names === undefined ? [] : names.split(',').map((name) => this.#find(name.trim()));
    const specs = [...presets.flat(), ...outputs];
    checkOutputs(specs);
    return specs;
  }

  #find(name: string): readonly OutputSpec[] {
    const list = this.#lists.get(name);
    if (list !== undefined) return list;
    const known =
      this.#lists.size === 0 ? 'none, for there are no presets,' : `one of ${[...this.#lists.keys()].join(', ')}`;
    throw invalid(known, 'preset', name);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const message = expectedMessage('a file that can be read', '--presets', `${path} (${systemCode(cause)})`);
    throw new DarkroomError('BAD_REQUEST', message, { cause });
  }
}
