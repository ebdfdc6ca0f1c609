import { parentPort, workerData } from 'node:worker_threads';
import { decodeHeif } from './libheif.ts';
import type { ThreadReply, ThreadTask } from './messages.ts';

// The thread that decodes one HEIC. It loads neither sharp nor ONNX Runtime, so it can be ended at any moment. It does not
// load zod, either, which takes longer than a small picture: what it gets comes from its own process.

function decode(): ThreadReply {
  try {
    const { module, file, maxBytes }: ThreadTask = workerData;
    return { kind: 'decoded', ...decodeHeif(module, file, maxBytes) };
  } catch (error) {
    return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) };
  }
}

const reply = decode();
// Moves the pixels, which is why they must have an ArrayBuffer of their own.
const moved = reply.kind === 'decoded' && reply.pixels.buffer instanceof ArrayBuffer ? [reply.pixels.buffer] : [];
parentPort?.postMessage(reply, moved);
