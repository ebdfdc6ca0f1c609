import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Serves a request as if it had not asked for an upgrade, which a server may ignore (RFC 9110, section 7.8). Java's
 * HttpClient and `curl --http2` ask for h2c in every first request, and Node, where one kind of upgrade is wanted, takes
 * its parser off them all. So the head goes back onto the connection without the wish, before what followed it, and the
 * server gets the connection as a new one.
 */
export function serveWithoutUpgrade(server: Server, request: IncomingMessage, socket: Duplex, after: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const [name = '', value = ''] = request.rawHeaders.slice(index, index + 2);
    if (!/^(upgrade|http2-settings)$/i.test(name)) lines.push(`${name}: ${value}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), after]));
  server.emit('connection', socket);
}
