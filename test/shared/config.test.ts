import { expect } from 'chai';
import { z } from 'zod';
import { SERVER_A_PREFIX, serverASettings } from '../../server-a/config.ts';
import { SERVER_B_PREFIX, serverBSettings } from '../../server-b/config.ts';
import {
  describeSettings,
  optionalText,
  port,
  positive,
  resolveSettings,
  toEnvironment,
  toggle,
} from '../../shared/config.ts';
import { DarkroomError } from '../../shared/errors.ts';

const schema = z.object({
  port: port.default(5454).meta({ short: '-p' }).describe('HTTP port'),
  maxUploadMb: positive.default(50).describe('size of one upload, in MiB'),
  fetch: toggle.default(true).describe('fetch what is missing'),
  token: optionalText.describe('secret'),
  cores: positive.default(3).meta({ shown: 'the number of cores' }).describe('threads'),
});

const resolve = (flags: Record<string, unknown>, environment: Record<string, string | undefined> = {}) =>
  resolveSettings(schema, 'T_', flags, environment);

/** The message of the BAD_REQUEST that the settings must throw. */
function refusal(flags: Record<string, unknown>, environment: Record<string, string> = {}): string {
  try {
    resolve(flags, environment);
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'BAD_REQUEST') return error.message;
    throw error;
  }
  throw new Error('Expected BAD_REQUEST, received settings');
}

describe('settings', () => {
  describe('are resolved', () => {
    it('to the defaults when nothing is given', () => {
      expect(resolve({})).to.deep.equal({ port: 5454, maxUploadMb: 50, fetch: true, cores: 3 });
    });

    it('from the environment before the default', () => {
      expect(resolve({}, { T_PORT: '80', T_MAX_UPLOAD_MB: '7' })).to.include({ port: 80, maxUploadMb: 7 });
    });

    it('from the flag before the environment, even if the variable is invalid', () => {
      expect(resolve({ port: '81' }, { T_PORT: '80' }).port).to.equal(81);
      expect(resolve({ port: '0' }, { T_PORT: 'eighty' }).port).to.equal(0);
      expect(resolve({ fetch: false }, { T_FETCH: 'yes' }).fetch).to.equal(false);
    });

    it('without empty variables', () => {
      expect(resolve({}, { T_PORT: '', T_TOKEN: '' })).to.deep.equal(resolve({}));
    });

    it('from an empty flag, which overrides the variable', () => {
      expect(resolve({ token: '' }, { T_TOKEN: 'secret' }).token).to.equal(undefined);
    });

    it('without variables of another prefix or name', () => {
      expect(resolve({}, { PORT: '1', X_PORT: '2', T_PORTS: '3' })).to.deep.equal(resolve({}));
    });

    for (const [text, value] of [
      ['true', true],
      ['1', true],
      ['yes', true],
      ['on', true],
      ['false', false],
      ['0', false],
      ['no', false],
      ['off', false],
    ] as const) {
      it(`with the switch ${text} as ${value}`, () => {
        expect(resolve({}, { T_FETCH: text }).fetch).to.equal(value);
      });
    }
  });

  describe('that are invalid', () => {
    it('are reported with the flag, the expected and the received value', () => {
      expect(refusal({ port: 'eighty' })).to.match(/^Expected a number for --port, received 'eighty'$/);
    });

    it('are reported with the variable', () => {
      expect(refusal({}, { T_MAX_UPLOAD_MB: '-1' })).to.match(/ for T_MAX_UPLOAD_MB, received '-1'$/);
    });

    it('are all reported at once', () => {
      const message = refusal({ port: '70000' }, { T_FETCH: 'perhaps' });
      expect(message).to.match(/for --port, received '70000'; Expected .+ for T_FETCH, received 'perhaps'$/);
    });

    for (const [flag, text] of [
      ['port', '65536'],
      ['port', '-1'],
      ['port', '1.5'],
      ['port', ''],
      ['port', ' '],
      ['maxUploadMb', '0'],
      ['maxUploadMb', 'Infinity'],
      ['fetch', 'maybe'],
    ] as const) {
      it(`include ${flag} '${text}'`, () => {
        expect(refusal({ [flag]: text })).to.contain(`received '${text}'`);
      });
    }
  });

  it('have a description with flag, variable, default and heading', () => {
    const [first, second, third, fourth, fifth] = describeSettings(schema, 'T_');
    expect(first).to.deep.equal({
      key: 'port',
      flag: '--port',
      short: '-p',
      variable: 'T_PORT',
      description: 'HTTP port',
      group: 'Other',
      defaultText: '5454',
      isSwitch: false,
    });
    expect(second).to.include({ flag: '--max-upload-mb', variable: 'T_MAX_UPLOAD_MB', short: undefined });
    expect(third).to.include({ isSwitch: true, defaultText: 'true' });
    expect(fourth).to.include({ defaultText: '', isSwitch: false });
    expect(fifth).to.include({ defaultText: 'the number of cores' });
  });

  it('come through the environment of another process as they were', () => {
    const values = resolve({ port: '1', maxUploadMb: '2', fetch: false, token: 'a b=c' });
    expect(resolve({}, toEnvironment(schema, 'T_', values))).to.deep.equal(values);
    expect(toEnvironment(schema, 'T_', resolve({}))).to.not.have.property('T_TOKEN');
  });
});

for (const { tier, settings, prefix, flags } of [
  {
    tier: 'Server A',
    settings: serverASettings,
    prefix: SERVER_A_PREFIX,
    flags: {
      ip: '::1,127.0.0.1',
      port: '0,80',
      apiKeys: 'one, two,',
      keepHours: '0.5',
      modelFetch: 'no',
      logLevel: 'debug',
    },
  },
  {
    tier: 'Server B',
    settings: serverBSettings,
    prefix: SERVER_B_PREFIX,
    flags: { ip: '0.0.0.0', port: '7000', token: 'secret', threads: '3', dataDir: '/tmp/x y' },
  },
]) {
  describe(`the settings of ${tier}`, () => {
    it('all have a description, and no two have the same flag or variable', () => {
      const described = describeSettings(settings, prefix);
      for (const setting of described) expect(setting.description, setting.key).to.match(/\w/);
      expect(new Set(described.map((one) => one.flag)).size).to.equal(described.length);
      expect(new Set(described.map((one) => one.variable)).size).to.equal(described.length);
      const shorts = described.flatMap((one) => one.short ?? []);
      expect(shorts).to.deep.equal(['-i', '-p']);
    });

    it('have a default for every required field', () => {
      const defaults = resolveSettings(settings, prefix, {}, {});
      expect(defaults).to.include({ memoryMb: 1536 });
      expect([defaults.ip].flat()[0]).to.equal('127.0.0.1');
    });

    it('come through the environment of another process as they were', () => {
      const values = resolveSettings(settings, prefix, flags, {});
      expect(resolveSettings(settings, prefix, {}, toEnvironment(settings, prefix, values))).to.deep.equal(values);
      expect(values).to.not.deep.equal(resolveSettings(settings, prefix, {}, {}));
    });
  });
}

describe('the variables of both servers', () => {
  it('are different, except for the token that both need', () => {
    const ofA = describeSettings(serverASettings, SERVER_A_PREFIX).map((one) => one.variable);
    const ofB = describeSettings(serverBSettings, SERVER_B_PREFIX).map((one) => one.variable);
    expect(ofA.filter((variable) => ofB.includes(variable))).to.deep.equal(['DARKROOM_TOKEN']);
  });
});
