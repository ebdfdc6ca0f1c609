import { readdir, readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { expect } from 'chai';
import { serverASettings } from '../../server-a/config.ts';
import { describeSettings } from '../../shared/config.ts';
import { runCommand } from '../support/command-in-process.ts';
import { type Ended, runDarkroom } from '../support/command-line.ts';
import { repositoryPath } from '../support/repository.ts';

describe('darkroom', function () {
  this.timeout(180_000);

  it('-h names every command, and every flag of serve, which is the default command', async () => {
    const [program, serve] = await Promise.all([runDarkroom(['-h']), runDarkroom(['serve', '-h'])]);
    expect([program.code, serve.code]).to.deep.equal([0, 0]);
    expect(program.stdout).to.match(/^Usage: darkroom /);
    expect(program.stdout).to.contain(serve.stdout.trim().slice(0, 200));
    for (const name of ['serve', 'server-a', 'server-b', 'model', 'upload', 'status', 'result', 'cancel']) {
      expect(program.stdout).to.match(new RegExp(`^ {2}${name}\\b`, 'm'));
    }
    for (const { flag, isSwitch, defaultText } of describeSettings(serverASettings, '')) {
      const shown = defaultText === 'true' ? flag.replace('--', '--no-') : flag;
      expect(program.stdout).to.contain(isSwitch ? shown : `${flag} <value>`);
    }
  });

  it('--version prints the version of the package', async () => {
    const { version } = JSON.parse(await readFile(repositoryPath('package.json'), 'utf8'));
    expect((await runDarkroom(['--version'])).stdout).to.equal(`${version}\n`);
  });

  it('reports a wrong flag and a wrong command with one line and the exit code 1', async () => {
    // Processes, because commander itself ends the process for the flags.
    for (const [words, line] of [
      ['--bogus', /unknown option '--bogus'/],
      ['upload --jobs 0 x', /Expected a whole number from 1 to 256/],
      ['upload --fit round x', /Allowed choices are cover, contain, fill, inside, outside/],
      ['srve', /^darkroom: Expected a command, .* for the first word, received 'srve'$/],
    ] as const) {
      expectRefusal(words, await runDarkroom(words.split(' ')), line);
    }
  });

  it('reports a wrong value and a wrong address with one line and the exit code 1', async () => {
    for (const [words, line] of [
      ['--model /nowhere.onnx', /^darkroom: Expected an .onnx file for --model, received '\/nowhere.onnx'$/],
      ['--port abc', /^darkroom: Expected ports from 0 to 65535, such as .* for --port, received 'abc'$/],
      ['--ip localhost', /^darkroom: Expected IPv4 and IPv6 addresses, such as .* for --ip, received 'localhost'$/],
      ['--server-b nowhere', /^darkroom: Expected host:port.* for --server-b, received 'nowhere'$/],
      ['server-a', /^darkroom: Expected host:port of a Server B for --server-b, received nothing$/],
      ['server-b -i 0.0.0.0', /^darkroom: Expected --token \(DARKROOM_TOKEN\) .* 0\.0\.0\.0, received nothing$/],
      ['server-b -i ::', /^darkroom: Expected --token \(DARKROOM_TOKEN\) .* ::, received nothing$/],
    ] as const) {
      expectRefusal(words, await runCommand(words.split(' ')), line);
    }
  });

  it('loads no server and no heavy package before it knows the command', async () => {
    const files = [
      'darkroom.js',
      ...(await readdir(repositoryPath('dist/bin/commands'))).map((name) => `commands/${name}`),
    ];
    const modules = files.filter((name) => name.endsWith('.js'));
    const loaded = await staticImports(modules.map((name) => new URL(repositoryPath(`dist/bin/${name}`), 'file:')));
    const packages = [...loaded].filter((name) => !name.startsWith('file:') && !isBuiltin(name));
    expect(packages.sort()).to.deep.equal(['commander', 'nanoid', 'zod']);
    const tiers = [...loaded].filter((name) => /\/server-[ab]\/(?!config\.js$)/.test(name));
    expect(tiers).to.deep.equal([]);
    const first = await staticImports([new URL(repositoryPath('dist/bin/darkroom.js'), 'file:')]);
    expect([...first].filter((name) => name.includes('/commands/'))).to.deep.equal([]);
  });
});

function expectRefusal(words: string, { code, stdout, stderr }: Ended, line: RegExp): void {
  expect([code, stdout], words).to.deep.equal([1, '']);
  expect(stderr.trimEnd(), words).to.match(line).and.not.contain('\n');
}

/** What modules and what they import import, `import()` left out: files as URLs, packages by name. */
async function staticImports(entries: readonly URL[]): Promise<Set<string>> {
  const found = new Set<string>();
  const queue = [...entries];
  for (const module of queue) {
    const source = await readFile(module, 'utf8');
    for (const [, name = ''] of source.matchAll(
      /^(?:import\s*|(?:import|export)\s[^;'"]*\bfrom\s*)['"]([^'"]+)['"]/gm,
    )) {
      const target = name.startsWith('.') ? new URL(name, module) : null;
      const key = target?.href ?? name;
      if (!found.has(key) && target !== null) queue.push(target);
      found.add(key);
    }
  }
  return found;
}
