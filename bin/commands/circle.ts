import { Command } from 'commander';
import { resolveSettings } from '../../shared/config.ts';
import { CLIENT_PREFIX, grpcClientSettings } from '../http/config.ts';
import { addSettings, readEnvironment } from '../settings.ts';

/** `darkroom circle <paths...>`. */
export function circleCommand(): Command {
  const command = new Command('circle')
    .description("cut the centred circle out of pictures on the server's disk, over gRPC")
    .argument(
      '<paths...>',
      "files below the server's --path-root; each output is <name>_processed.png in the same folder",
    )
    .option('--size <pixels>', 'side of the outputs, in pixels', '256')
    .option('--json', 'print one JSON line for each file: { file, status, path, size, error }')
    .addHelpText('after', '\nThe exit code is 1 when any file failed.');
  return addSettings(command, grpcClientSettings, CLIENT_PREFIX).action(
    async (paths: string[], flags: { size: string; json?: boolean } & Record<string, unknown>) => {
      const settings = resolveSettings(grpcClientSettings, CLIENT_PREFIX, flags, readEnvironment());
      const { runCircle } = await import('../grpc/run-circle.ts');
      await runCircle(paths, flags, settings);
    },
  );
}
