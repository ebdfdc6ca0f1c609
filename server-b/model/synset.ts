import { z } from 'zod';

/** Number of the model's classes, and of the lines in a synset.txt. */
export const MODEL_CLASSES = 1000;

const lineSchema = z.string().regex(/^n\d{8} \S/);

/** One ImageNet class: its WordNet id and its first name. */
export interface SynsetClass {
  readonly wnid: string;
  readonly label: string;
}

/**
 * The classes of a synset.txt, in the order of the model's outputs: "n02123045 tabby, tabby cat" is wnid n02123045,
 * label "tabby". Throws unless it has exactly 1000 such lines.
 */
export function parseSynset(text: string): SynsetClass[] {
  const lines = text.split('\n').map((line) => line.trim());
  while (lines.at(-1) === '') lines.pop();
  const wrong = lines.findIndex((line) => !lineSchema.safeParse(line).success);
  if (wrong !== -1) {
    throw new Error(`Expected 'n######## name, …' in line ${wrong + 1} of synset.txt, received '${lines[wrong]}'`);
  }
  if (lines.length !== MODEL_CLASSES) {
    throw new Error(`Expected ${MODEL_CLASSES} lines in synset.txt, received ${lines.length}`);
  }
  return lines.map((line) => {
    const [wnid = '', label = ''] = line.split(',', 1).join('').split(/ (.*)/, 2);
    return { wnid, label };
  });
}
