import { once } from 'node:events';
import { connect } from 'node:net';
import { readAnswer } from '../../server-a/control/messages.ts';
import { controlSocket, shortSocketPath } from '../../server-a/control/socket-path.ts';
import { DarkroomError, systemCode } from '../../shared/errors.ts';

/**
 * Sends a command to the Darkroom that runs on a data folder, yields the data of the answer and returns its result. Throws
 * BAD_REQUEST when none runs there, the error of the answer, SOURCE_ERROR when Darkroom ends first, and the signal's
 * reason.
 */
export async function* control(
  dataDir: string,
  request: { readonly command: string; readonly [field: string]: unknown },
  signal: AbortSignal,
): AsyncGenerator<Buffer, unknown> {
  const { path, close } = await shortSocketPath(controlSocket(dataDir)).catch(notRunning(dataDir));
  const socket = connect(path);
  const stop = () => socket.destroy(signal.reason instanceof Error ? signal.reason : undefined);
  signal.addEventListener('abort', stop);
  try {
    await once(socket, 'connect', { signal }).catch(notRunning(dataDir));
    socket.write(`${JSON.stringify(request)}\n`);
    return yield* readAnswer(socket);
  } finally {
    signal.removeEventListener('abort', stop);
    socket.destroy();
    await close();
  }
}

/** Handles the error of a connection: BAD_REQUEST when no Darkroom listens, or this user may not speak to it. */
function notRunning(dataDir: string) {
  return (error: unknown): never => {
    const code = systemCode(error) ?? '';
    if (code === 'EACCES' || code === 'EPERM') {
      const message = `Only the owner of the data folder ${dataDir} can give commands to its Darkroom.`;
      throw new DarkroomError('BAD_REQUEST', message, { cause: error });
    }
    if (!['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ENOTSOCK'].includes(code)) throw error;
    throw new DarkroomError('BAD_REQUEST', `No Darkroom runs on the data folder ${dataDir}.`, { cause: error });
  };
}
