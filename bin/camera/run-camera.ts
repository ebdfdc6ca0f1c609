import { join } from 'node:path';
import { DarkroomError, describeError, type ErrorDescription, systemCode } from '../../shared/errors.ts';
import { Client } from '../http/client.ts';
import { saveFile } from '../save-file.ts';
import { type CameraSettings, relayAddress } from './config.ts';
import { stayConnected } from './relay.ts';
import { openSource, type Source, type SourceFlags } from './source.ts';

/** The names that operators rely on (docs/websocket.md): the file of each frame, and the snippet that gets it. */
const FRAME_NAME = 'opencv_frame_0.png';
const SNIPPET = 1;

/** The flags of `darkroom camera`. */
export interface CameraFlags extends SourceFlags {
  readonly output: string;
  readonly json?: boolean;
}

/** An event that the command prints. */
type CameraEvent =
  | { readonly event: 'ready' | 'stop'; readonly relay: string }
  | { readonly event: 'lost'; readonly relay: string; readonly reason: string }
  | { readonly event: 'snap'; readonly file: string; readonly task_id: string | null }
  | { readonly event: 'failed'; readonly error: ErrorDescription };

/**
 * Takes a picture for each `snap` of the relay, until the signal aborts, which is its ordinary end. Throws BAD_REQUEST for
 * a source that does not exist.
 */
export async function runCamera(flags: CameraFlags, settings: CameraSettings, signal: AbortSignal): Promise<void> {
  const source = await openSource(flags);
  const client = new Client(settings, signal);
  const report = (event: CameraEvent) => print(event, flags.json === true);
  const shutter = new Shutter(() => snap(source, client, flags.output, signal).then(report));
  const relay = relayAddress(settings);
  const handlers = {
    onOpen: (send: (text: string) => void) => {
      send('Ready for capture');
      report({ event: 'ready', relay });
    },
    onText: (text: string) => {
      if (text === 'Message: snap') shutter.press();
      else if (text === 'Message: stop') report({ event: 'stop', relay });
    },
    onLost: (reason: string) => report({ event: 'lost', relay, reason }),
  };
  try {
    await stayConnected(settings, handlers, signal);
    await shutter.rest();
  } finally {
    await client.close();
  }
}

/** Runs one snap after another. However many presses arrive during a snap, one more follows. */
export class Shutter {
  readonly #snap: () => Promise<void>;
  #running: Promise<void> | null = null;
  #isPressed = false;

  /** `snap` must not reject. */
  constructor(snap: () => Promise<void>) {
    this.#snap = snap;
  }

  press(): void {
    this.#isPressed = true;
    this.#running ??= this.#work();
  }

  /** Resolves when no snap is running. */
  async rest(): Promise<void> {
    await this.#running;
  }

  async #work(): Promise<void> {
    while (this.#isPressed) {
      this.#isPressed = false;
      await this.#snap();
    }
    this.#running = null;
  }
}

/** Takes a frame, saves it, sends it. A failure becomes an event, and the next snap starts anew. */
async function snap(source: Source, client: Client, folder: string, signal: AbortSignal): Promise<CameraEvent> {
  try {
    const frame = await source(signal);
    const file = join(folder, FRAME_NAME);
    await saveFile(file, [frame]);
    const picture = new Blob([new Uint8Array(frame)], { type: 'image/png' });
    const task = await client.putSnippet(SNIPPET, picture, FRAME_NAME);
    return { event: 'snap', file, task_id: task?.task_id ?? null };
  } catch (error) {
    return { event: 'failed', error: explain(error) };
  }
}

function explain(error: unknown): ErrorDescription {
  if (error instanceof DarkroomError || !(error instanceof Error)) return describeError(error);
  // A missing file or host, or a picture that sharp cannot read. The command runs on the user's own machine, so its
  // message may be shown.
  return { code: systemCode(error) === undefined ? 'IMAGE_CORRUPT' : 'SOURCE_ERROR', message: error.message };
}

function print(event: CameraEvent, asJson: boolean): void {
  const isTrouble = event.event === 'lost' || event.event === 'failed';
  if (asJson) process.stdout.write(`${JSON.stringify(event)}\n`);
  else (isTrouble ? process.stderr : process.stdout).write(`${lineOf(event)}\n`);
}

function lineOf(event: CameraEvent): string {
  switch (event.event) {
    case 'ready':
    case 'stop':
      return `${event.event}  ${event.relay}`;
    case 'lost':
      return `lost  ${event.relay}  ${event.reason}`;
    case 'snap':
      return `snap  ${event.file}  ${event.task_id}`;
    case 'failed':
      return `failed  ${event.error.message} (${event.error.code})`;
  }
}
