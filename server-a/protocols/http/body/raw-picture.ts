import type { ReceivedPicture, Tasks } from '../../../tasks/tasks.ts';
import type { HttpContext } from '../http-context.ts';
import { rawFilename } from './raw-filename.ts';
import { checkDeclaredBytes, declaredBytes, inviteBody } from './request-body.ts';

/** True when the request declares its body as the picture itself. */
export function isRawPicture({ request }: HttpContext): boolean {
  const type = request.type.trim().toLowerCase();
  return type.startsWith('image/') || type === 'application/octet-stream';
}

/** Receives the request's body as a picture. Throws PAYLOAD_TOO_LARGE, and what `Tasks.receive` throws. */
export async function receiveRaw(context: HttpContext, tasks: Tasks, maxBytes: number): Promise<ReceivedPicture> {
  const { signal } = context.state;
  const filename = rawFilename(context);
  const bytes = declaredBytes(context.req);
  checkDeclaredBytes(context.req, maxBytes);
  tasks.checkRoom(bytes);
  inviteBody(context);
  return tasks.receive(context.req, { filename, bytes, signal });
}
