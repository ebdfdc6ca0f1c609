import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { className } from '../../../../server-a/protocols/zeromq/publication.ts';
import { parseSynset } from '../../../../server-b/model/synset.ts';
import { requireShared } from '../../../support/shared.ts';

/** Lines of Keras' imagenet_class_index.json. */
const KERAS: Readonly<Record<number, readonly [wnid: string, name: string]>> = {
  2: ['n01484850', 'great_white_shark'],
  89: ['n01819313', 'sulphur-crested_cockatoo'],
  155: ['n02086240', 'Shih-Tzu'],
  165: ['n02089078', 'black-and-tan_coonhound'],
  281: ['n02123045', 'tabby'],
  285: ['n02124075', 'Egyptian_cat'],
  387: ['n02509815', 'lesser_panda'],
  444: ['n02835271', 'bicycle-built-for-two'],
  477: ['n02966687', "carpenter's_kit"],
  504: ['n03063599', 'coffee_mug'],
  605: ['n03584254', 'iPod'],
  607: ['n03590841', "jack-o'-lantern"],
  983: ['n10565667', 'scuba_diver'],
  986: ['n12057211', "yellow_lady's_slipper"],
};

describe('class names', () => {
  it('are the first name of the class, with its words joined by _', () => {
    expect(['tabby', 'Egyptian cat', "yellow lady's slipper", 'Shih-Tzu'].map(className)).to.deep.equal([
      'tabby',
      'Egyptian_cat',
      "yellow_lady's_slipper",
      'Shih-Tzu',
    ]);
  });

  it('are the names in imagenet_class_index.json for the real synset', async function () {
    const synset = await readFile(join(requireShared(this), 'models/synset.txt'), 'utf8');
    const classes = parseSynset(synset);
    for (const [index, entry] of Object.entries(KERAS)) {
      const found = classes[Number(index)];
      expect([found?.wnid, className(found?.label ?? '')]).to.deep.equal(entry);
    }
    for (const { label } of classes) expect(className(label)).to.match(/^[\w'.-]+$/);
  });
});
