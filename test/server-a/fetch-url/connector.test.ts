import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { systemCode } from '../../../shared/errors.ts';
import { repositoryPath } from '../../support/repository.ts';
import { whole } from '../../support/source.ts';

const run = promisify(execFile);
const PUBLIC_ADDRESS = '93.184.216.34';

function fixture(name: string): string {
  return repositoryPath(`dist/test/server-a/fetch-url/fixtures/${name}.js`);
}

describe('guardedConnector', () => {
  it('checks every redirect, from a public address to loopback by number and by name', async function () {
    // A test may have a public address only in its own network namespace.
    const network = [
      '-rn',
      'sh',
      '-c',
      'ip link set lo up && ip address add "$0/32" dev lo && exec "$@"',
      PUBLIC_ADDRESS,
    ];
    const mayUnshare = await run('unshare', [...network, 'true']).then(
      () => true,
      () => false,
    );
    if (!mayUnshare) this.skip();
    const { stdout } = await run('unshare', [...network, process.execPath, fixture('fetch-redirect'), PUBLIC_ADDRESS]);
    expect(stdout.trim().split('\n')).to.deep.equal([
      '/picture picture',
      '/literal URL_NOT_ALLOWED',
      '/name URL_NOT_ALLOWED',
      'requests inside 0',
    ]);
  });

  describe('over TLS', () => {
    let folder: string;
    let certificate: string;
    let server: Server;
    let port: number;
    const names: (string | false | null)[] = [];
    let request = '';
    const fetch = async (host: string, environment: Readonly<Record<string, string>> = {}) => {
      const options = { env: { PATH: process.env['PATH'], ...environment } };
      const { stdout } = await run(
        process.execPath,
        [fixture('fetch-tls'), `https://${host}:${port}/cat.jpg`],
        options,
      );
      return stdout.trim();
    };

    before(async function () {
      folder = await mkdtemp(join(tmpdir(), 'darkroom-tls-'));
      certificate = join(folder, 'certificate.pem');
      const key = join(folder, 'key.pem');
      const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
      words.push('-subj', '/CN=source.example', '-addext', 'subjectAltName=DNS:source.example');
      try {
        await run('openssl', [...words, '-keyout', key, '-out', certificate]);
      } catch (error) {
        if (systemCode(error) === 'ENOENT') this.skip();
        throw error;
      }
      server = createServer({ key: await readFile(key), cert: await readFile(certificate) }, (socket: TLSSocket) => {
        names.push(socket.servername);
        socket
          .on('error', () => {})
          .once('data', (bytes) => {
            request = bytes.toString();
            socket.end(whole('200 OK', {}, 'picture'));
          });
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address === null || typeof address === 'string')
        throw new Error(`Expected a TCP address, received ${address}`);
      port = address.port;
    });

    after(async () => {
      server?.close();
      await rm(folder, { recursive: true });
    });

    it('sends the name of the host (SNI), although it connects to an address', async () => {
      expect(await fetch('source.example', { NODE_EXTRA_CA_CERTS: certificate })).to.equal('picture');
      expect(names).to.deep.equal(['source.example']);
      expect(request).to.include(`host: source.example:${port}\r\n`);
    });

    it('refuses a certificate without a trusted issuer', async () => {
      expect(await fetch('source.example')).to.match(/^SOURCE_ERROR: .* certificate/);
    });

    it('refuses a certificate of another host', async () => {
      const told = await fetch('other.example', { NODE_EXTRA_CA_CERTS: certificate });
      expect(told).to.match(/^SOURCE_ERROR: .* certificate/);
    });
  });
});
