import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nanoid } from 'nanoid';
import { DarkroomError, describeError, type ErrorDescription, systemCode } from '../../shared/errors.ts';
import { Client } from '../http/client.ts';
import { abortOnSignal } from '../signals.ts';
import { type CameraSettings, relayAddress } from './config.ts';
import { stayConnected } from './relay.ts';
import { openSource, type Source, type SourceFlags } from './source.ts';

/** What operators expect (docs/websocket.md): where frames are saved, under which name, and to which snippet they go. */
const FRAME_NAME = 'opencv_frame_0.png';
const SNIPPET = 1;

/** The flags of `darkroom camera`. */
export interface CameraFlags extends SourceFlags {
  readonly output: string;
  readonly json?: boolean;
}

/** What a camera has to say. */
type CameraEvent =
  | { readonly event: 'ready' | 'stop'; readonly relay: string }
  | { readonly event: 'lost'; readonly relay: string; readonly reason: string }
  | { readonly event: 'snap'; readonly file: string; readonly task_id: string | null }
  | { readonly event: 'failed'; readonly error: ErrorDescription };

/** Takes a picture whenever it is told to, until SIGINT or SIGTERM, which is its ordinary end. */
export async function runCamera(flags: CameraFlags, settings: CameraSettings): Promise<void> {
  const source = await openSource(flags);
  const signal = abortOnSignal();
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

/** Runs one snap after the other. Presses while one is under way ask for one more, however many they are. */
export class Shutter {
  readonly #snap: () => Promise<void>;
  #underWay: Promise<void> | null = null;
  #isPressed = false;

  /** `snap` must not reject. */
  constructor(snap: () => Promise<void>) {
    this.#snap = snap;
  }

  press(): void {
    this.#isPressed = true;
    this.#underWay ??= this.#work();
  }

  /** Resolves when nothing is under way. */
  async rest(): Promise<void> {
    await this.#underWay;
  }

  async #work(): Promise<void> {
    while (this.#isPressed) {
      this.#isPressed = false;
      await this.#snap();
    }
    this.#underWay = null;
  }
}

/** Takes a frame, saves it, sends it. What fails is told, and the next frame is another one. */
async function snap(source: Source, client: Client, folder: string, signal: AbortSignal): Promise<CameraEvent> {
  try {
    const frame = await source(signal);
    const file = join(folder, FRAME_NAME);
    await save(frame, file);
    const picture = new Blob([new Uint8Array(frame)], { type: 'image/png' });
    const task = await client.putSnippet(SNIPPET, picture, FRAME_NAME);
    return { event: 'snap', file, task_id: task?.task_id ?? null };
  } catch (error) {
    return { event: 'failed', error: explain(error) };
  }
}

/** By a temporary file and rename, so that whoever looks at the file sees a whole frame. */
async function save(frame: Buffer, file: string): Promise<void> {
  const temporary = `${file}.${nanoid(8)}.part`;
  try {
    await writeFile(temporary, frame, { flag: 'wx' });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function explain(error: unknown): ErrorDescription {
  if (error instanceof DarkroomError || !(error instanceof Error)) return describeError(error);
  // A file or a host that is not there, a picture that sharp does not read: its own words, there is nothing to hide here.
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
