import { expect } from 'chai';
import { PRESETS, usePresetsFile } from '../../presets-file.ts';
import { ask, startFixture } from '../http-fixture.ts';

describe('GET /presets', () => {
  const presets = usePresetsFile();

  it('answers every preset with its outputs', async () => {
    const fixture = await startFixture({ presets: presets() });
    try {
      const answer = await ask(fixture, { path: '/presets' });
      expect(answer.status).equal(200);
      expect(JSON.parse(answer.body.toString())).deep.equal(PRESETS);
    } finally {
      await fixture.stop();
    }
  });

  it('answers an empty object without presets', async () => {
    const fixture = await startFixture();
    try {
      expect((await ask(fixture, { path: '/presets' })).body.toString()).equal('{}');
    } finally {
      await fixture.stop();
    }
  });

  it('answers 401 without a key, if keys are configured', async () => {
    const fixture = await startFixture({ presets: presets(), apiKeys: ['secret'] });
    try {
      expect((await ask(fixture, { path: '/presets' })).status).equal(401);
      const headers = { 'X-Api-Key': 'secret' };
      expect((await ask(fixture, { path: '/presets', headers })).status).equal(200);
    } finally {
      await fixture.stop();
    }
  });
});
