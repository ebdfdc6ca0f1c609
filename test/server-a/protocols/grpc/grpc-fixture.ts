import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PackageDefinition } from '@grpc/proto-loader';
import { pino } from 'pino';
import { startGrpc } from '../../../../server-a/protocols/grpc/index.ts';
import { DARKROOM, loadProtos } from '../../../../server-a/protocols/grpc/protos.ts';
import type { Protocol } from '../../../../server-a/protocols/protocol.ts';
import { Presets } from '../../../../server-a/tasks/presets.ts';
import type { Tasks } from '../../../../server-a/tasks/tasks.ts';
import { pictureNames } from '../../../support/stored-pictures.ts';
import { defaultOptions, openTasks, type TestDispatcher } from '../../tasks/support.ts';
import { GrpcClient } from './grpc-client.ts';

const settings = {
  ip: ['127.0.0.1'],
  grpcPort: 0,
  apiKeys: [] as string[],
  pathRoot: undefined as string | undefined,
  maxUploadMb: 8,
  maxConnections: 20,
  requestSeconds: 300,
  /** Path of a file with presets. */
  presets: undefined as string | undefined,
};

/** A gRPC server with real tasks in its own folder. */
export interface Fixture {
  readonly address: string;
  readonly tasks: Tasks<TestDispatcher>;
  readonly protocol: Protocol;
  readonly protos: PackageDefinition;
  /** A client of `darkroom.v1.Darkroom`. */
  readonly darkroom: GrpcClient;
  /** Log lines so far, parsed. */
  readonly lines: Record<string, unknown>[];
  readiness: { store: string; lanes: number };
  /** Makes another client, which is closed with the fixture. */
  client(service: string, headers?: Record<string, string>): GrpcClient;
  readonly dataDir: string;
  /** Names of all pictures. */
  pictures(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts gRPC on a free port. */
export async function startFixture(changes: Partial<typeof settings> = {}): Promise<Fixture> {
  const dataDir = await mkdtemp(join(tmpdir(), 'darkroom-grpc-'));
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const tasks = await openTasks({ ...defaultOptions(dataDir), maxUploadMb: settings.maxUploadMb }, log);
  const readiness = () => fixture.readiness;
  const starting = startGrpc({
    tasks,
    presets: await Presets.load(changes.presets),
    settings: { ...settings, ...changes },
    readiness,
    log,
  });
  const protocol = await starting.catch(async (error: unknown) => {
    await tasks.close();
    await rm(dataDir, { recursive: true });
    throw error;
  });
  const address = protocol.lines[0]?.split(/ +/)[1] ?? '';
  const protos = await loadProtos();
  const clients: GrpcClient[] = [];
  const client = (service: string, headers: Record<string, string> = {}): GrpcClient => {
    const made = new GrpcClient(address, protos, service, headers);
    clients.push(made);
    return made;
  };
  const fixture: Fixture = {
    address,
    tasks,
    protocol,
    protos,
    darkroom: client(DARKROOM),
    lines,
    readiness: { store: 'open', lanes: 4 },
    client,
    dataDir,
    pictures: () => pictureNames(dataDir),
    stop: async () => {
      for (const one of clients) one.close();
      await protocol.close(0);
      await tasks.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  return fixture;
}

/** One fixture for all tests of the surrounding suite. */
export function shareFixture(changes: Partial<typeof settings> = {}): () => Fixture {
  let fixture: Fixture | null = null;
  before(async () => {
    fixture = await startFixture(changes);
  });
  after(() => fixture?.stop());
  return () => {
    if (fixture === null) throw new Error('Expected a fixture');
    return fixture;
  };
}

/** A fixture for each test of the surrounding suite. */
export function useFixture(changes: Partial<typeof settings> = {}): () => Fixture {
  let fixture: Fixture | null = null;
  beforeEach(async () => {
    fixture = await startFixture(changes);
  });
  afterEach(() => fixture?.stop());
  return () => {
    if (fixture === null) throw new Error('Expected a fixture');
    return fixture;
  };
}
