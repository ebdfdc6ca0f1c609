import { Command } from 'commander';
import { cameraSettings, resolveCameraSettings } from '../camera/config.ts';
import type { CameraFlags } from '../camera/run-camera.ts';
import { CLIENT_PREFIX } from '../http/config.ts';
import { addSettings } from '../settings.ts';
import { abortOnSignal } from '../signals.ts';

/** `darkroom camera`. */
export function cameraCommand(): Command {
  const command = new Command('camera')
    .description('take a picture for each `darkroom snap`, and send it to /snippets/1/')
    .optionsGroup('Pictures:')
    .option('--device <path>', 'camera that ffmpeg reads (default: /dev/video0)')
    .option('--source <path-or-url>', 'instead of a camera: a file, a folder (one picture after another), or a URL')
    .option('-o, --output <folder>', 'where opencv_frame_0.png is saved', '.')
    .option('--json', 'print one JSON line for each event: { event, … }');
  return addSettings(command, cameraSettings, CLIENT_PREFIX).action(
    async (flags: CameraFlags & Record<string, unknown>) => {
      const settings = resolveCameraSettings(flags);
      const { runCamera } = await import('../camera/run-camera.ts');
      await runCamera(flags, settings, abortOnSignal());
    },
  );
}
