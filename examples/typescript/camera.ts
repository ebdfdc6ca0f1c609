// A camera that sends a picture for each "snap", until "stop":
// node camera.js frame.png
import { on, once } from 'node:events';
import { openAsBlob } from 'node:fs';
import WebSocket from 'ws';

const { DARKROOM_SERVER = 'http://127.0.0.1:5454', DARKROOM_WEBSOCKET = 'ws://127.0.0.1:8080' } = process.env;
const [picture = 'frame.png'] = process.argv.slice(2);

async function send(): Promise<void> {
  const form = new FormData();
  form.append('image', await openAsBlob(picture), 'opencv_frame_0.png');
  const response = await fetch(`${DARKROOM_SERVER}/snippets/1/`, { method: 'PUT', body: form });
  console.log(response.status, await response.text());
}

const socket = new WebSocket(DARKROOM_WEBSOCKET);
const messages = on(socket, 'message', { close: ['close'] });
await once(socket, 'open');
socket.send('Ready for capture');
for await (const [data] of messages) {
  const message = String(data);
  if (message === 'Message: snap') await send();
  if (message === 'Message: stop') socket.close();
}
