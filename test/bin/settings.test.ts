import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Command } from 'commander';
import { z } from 'zod';
import { addSettings, readEnvironment } from '../../bin/settings.ts';
import { port, resolveSettings, toggle } from '../../shared/config.ts';

const schema = z.object({
  port: port.default(5454).meta({ group: 'Addresses', short: '-p' }).describe('a port'),
  dataDir: z.string().default('./data').meta({ group: 'Storage' }).describe('a folder'),
  modelFetch: toggle.default(true).meta({ group: 'Work' }).describe('fetch it'),
  verbose: toggle.default(false).describe('say more'),
});

describe('settings on the command line', () => {
  it('are flags in kebab case, with their short forms', () => {
    expect(parse('--port', '1', '--data-dir', '/a')).to.deep.equal({ port: '1', dataDir: '/a' });
    expect(parse('-p', '2')).to.deep.equal({ port: '2' });
  });

  it('have no value without a flag, so that the environment applies', () => {
    expect(parse()).to.deep.equal({});
  });

  it('have two flags for a switch, on and off', () => {
    expect(parse('--no-model-fetch')).to.deep.equal({ modelFetch: false });
    expect(parse('--model-fetch', '--verbose')).to.deep.equal({ modelFetch: true, verbose: true });
    expect(parse('--no-verbose')).to.deep.equal({ verbose: false });
  });

  it('are listed in the help under their headings, with defaults', () => {
    const help = command().helpInformation();
    expect(help).to.match(/Addresses:\n {2}-p, --port <value> +a port \(default: 5454\)/);
    expect(help).to.match(/Storage:\n {2}--data-dir <value>/);
    expect(help)
      .to.match(/--no-model-fetch +do not fetch it/)
      .and.not.to.match(/ --model-fetch/);
    expect(help)
      .to.match(/--verbose +say more/)
      .and.not.to.match(/--no-verbose/);
  });

  describe('precedence', () => {
    let folder: string;
    const variable = 'TEST_DARKROOM_PORT';

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'darkroom-settings-'));
    });

    afterEach(async () => {
      delete process.env[variable];
      await rm(folder, { recursive: true });
    });

    it('is flag, environment, .env, default', async () => {
      const resolved = (...flags: string[]): number =>
        resolveSettings(schema, 'TEST_DARKROOM_', parse(...flags), readEnvironment(folder)).port;
      expect(resolved()).to.equal(5454);
      await writeFile(join(folder, '.env'), `# a comment\n${variable}=1111\n`);
      expect(resolved()).to.equal(1111);
      process.env[variable] = '2222';
      expect(resolved()).to.equal(2222);
      expect(resolved('--port', '3333')).to.equal(3333);
    });

    it('reports an unreadable .env as an error, and ignores a missing one', async () => {
      expect(() => readEnvironment(folder)).not.to.throw();
      expect(() => readEnvironment(join(folder, 'missing'))).not.to.throw();
      await mkdir(join(folder, '.env'));
      expect(() => readEnvironment(folder)).to.throw('EISDIR');
    });

    it('names the flag or variable of an invalid value', async () => {
      const resolve =
        (...flags: string[]) =>
        () =>
          resolveSettings(schema, 'TEST_DARKROOM_', parse(...flags), readEnvironment(folder));
      expect(resolve('--port', 'abc')).to.throw(/^Expected a number for --port, received 'abc'$/);
      process.env[variable] = '70000';
      expect(resolve()).to.throw(/ for TEST_DARKROOM_PORT, received '70000'$/);
    });
  });
});

function command(): Command {
  const silent = { writeErr: () => undefined };
  return addSettings(new Command().exitOverride().configureOutput(silent), schema, 'TEST_DARKROOM_');
}

function parse(...flags: string[]): Record<string, unknown> {
  return command().parse(flags, { from: 'user' }).opts();
}
