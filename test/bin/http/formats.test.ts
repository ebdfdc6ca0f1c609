import { expect } from 'chai';
import { extensionFor, formatOfExtension } from '../../../bin/http/formats.ts';

describe('extensions', () => {
  it('name the format of a file that is uploaded, HEIC among them', () => {
    expect(formatOfExtension('.JPG')).to.equal('jpeg');
    for (const extension of ['.heic', '.HEIC', '.heif', '.hif']) expect(formatOfExtension(extension)).to.equal('heic');
    expect(formatOfExtension('.txt')).to.equal(undefined);
  });

  it('of a result are the original ones where the format is the same', () => {
    expect(extensionFor('jpeg', '.JPEG')).to.equal('.JPEG');
    expect(extensionFor('jpeg', '.HEIC')).to.equal('.jpg');
  });
});
