import { Command } from 'commander';
import { z } from 'zod';
import { SERVER_A_PREFIX } from '../../server-a/config.ts';
import type { ModelFiles } from '../../server-b/model/find.ts';
import { commonSettings, resolveSettings } from '../../shared/config.ts';
import { addSettings, readEnvironment } from '../settings.ts';
import { abortOnSignal } from '../signals.ts';

const { dataDir, model } = commonSettings;
const showSettings = z.object({ dataDir, model });
const installSettings = z.object({ dataDir });

/** `darkroom model`, with `darkroom model install`. */
export function modelCommand(): Command {
  const command = new Command('model').description('show the classifier; install one');
  return addSettings(command, showSettings, SERVER_A_PREFIX).action(showModel).addCommand(installCommand());
}

function installCommand(): Command {
  const command = new Command('install')
    .description('copy a classifier to the data folder; a running Server B uses it without a restart')
    .argument(
      '[file]',
      'an .onnx file, with synset.txt in the same folder (default: download the official classifier)',
    );
  return addSettings(command, installSettings, SERVER_A_PREFIX).action(installModel);
}

async function showModel(flags: Record<string, unknown>): Promise<void> {
  const { describeModel } = await import('../../server-b/model/find.ts');
  const settings = resolveSettings(showSettings, SERVER_A_PREFIX, flags, readEnvironment());
  const report = await describeModel({ dataDir: settings.dataDir, model: settings.model });
  const kind = report.model?.official === true ? 'official' : 'custom';
  const lines = [
    `Place  ${report.place}`,
    ...report.files.map(({ path, bytes, sha256 }) => `File   ${path}  ${bytes} bytes  sha256 ${sha256}`),
    report.model === null ? `Model  unavailable: ${report.problem}` : `Model  ${report.model.name} (${kind}), whole`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  if (report.model === null) process.exitCode = 1;
}

async function installModel(file: string | undefined, _flags: unknown, command: Command): Promise<void> {
  // --data-dir may also come before `install`; commander then treats it as a flag of `model`.
  const settings = resolveSettings(installSettings, SERVER_A_PREFIX, command.optsWithGlobals(), readEnvironment());
  const installed = file === undefined ? await fetchOfficial(settings.dataDir) : await copy(file, settings.dataDir);
  process.stdout.write(`Model  ${installed.name} installed at ${installed.onnx}\n`);
}

async function fetchOfficial(dataDir: string): Promise<ModelFiles> {
  const { fetchModelWithBar } = await import('../serve/fetch-model.ts');
  return fetchModelWithBar(dataDir, abortOnSignal());
}

async function copy(file: string, dataDir: string): Promise<ModelFiles> {
  const install = await import('../../server-b/model/install.ts');
  return install.installModel(file, dataDir);
}
