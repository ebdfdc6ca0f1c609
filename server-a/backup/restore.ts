import { chmod, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { extract } from 'tar';
import { makeFolder, syncFolder } from '../../shared/durable-folder.ts';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json.ts';
import { makeDataFolder } from '../spool/data-folder.ts';
import { DataLock } from '../spool/data-lock.ts';
import { parseSpoolName } from '../spool/spool.ts';
import { checkContent } from '../store/check-content.ts';
import { writeMarker } from '../store/marker.ts';
import { SYSTEM, type System } from '../system.ts';
import { ARCHIVE, type Manifest, manifestSchema, namedPictures, StoredPictures, sha256Of } from './archive.ts';

/** What may be in an empty data folder: the lock, the classifier, and what a file system or a cut-off restore left. */
const NOT_DATA = /^(lock\.(db|json)(-journal)?|model|lost\+found|restore-[\w-]{21})$/;

/**
 * Restores a backup to an empty data folder, which is made if it is missing. Every picture is compared with its record
 * before any gets its place, and all are durable when this resolves. Throws BAD_REQUEST when the folder is in use or not
 * empty, or when the archive is not a whole backup; the folder stays empty then.
 */
export async function restore(archive: string, dataDir: string, system: System = SYSTEM): Promise<Manifest> {
  const { files, newId } = system;
  await checkEmpty(resolve(dataDir));
  const folder = await makeDataFolder(dataDir, files);
  const lock = DataLock.take(folder, system.clock);
  try {
    await checkEmpty(folder);
    const left = (await readdir(folder)).filter((name) => name.startsWith('restore-'));
    for (const name of left) await rm(join(folder, name), { recursive: true });
    const work = join(folder, `restore-${newId()}`);
    await makeFolder(join(work, ARCHIVE.spool), 0o700, files);
    try {
      unpack(archive, work);
      const manifest = await check(archive, work);
      await syncAll(work, system);
      // The store comes last: without it, a start refuses a folder that has files.
      for (const name of [ARCHIVE.spool, ARCHIVE.store]) await rename(join(work, name), join(folder, name));
      await writeMarker(folder, { id: manifest.store, opened: manifest.opened }, files);
      await syncFolder(folder, files);
      return manifest;
    } finally {
      await rm(work, { recursive: true });
    }
  } finally {
    lock.release();
  }
}

async function checkEmpty(folder: string): Promise<void> {
  const names = await namesIn(folder);
  if (names.every((name) => NOT_DATA.test(name))) return;
  // Says who uses the folder, if somebody does. A folder that never was a data folder gets no lock.
  if (names.includes('lock.db')) DataLock.take(folder).release();
  throw new DarkroomError('BAD_REQUEST', `Expected an empty folder for --data-dir, received ${folder}`);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Unpacks the archive, of which only files with names of a backup are accepted. */
function unpack(file: string, cwd: string): void {
  const foreign: string[] = [];
  const filter = (path: string, entry: object) => {
    const isOurs = 'type' in entry && entry.type === 'File' && isFileName(path);
    if (!isOurs) foreign.push(path);
    return isOurs;
  };
  try {
    // Not in the background: that would go on with other files after an error, in a folder that is then removed.
    extract({ sync: true, file, cwd, filter, strict: true, preserveOwner: false, noMtime: true });
  } catch (error) {
    if (systemCode(error)?.startsWith('TAR_') !== true) throw error;
    throw notWhole(file, error instanceof Error ? error.message : String(error), error);
  }
  if (foreign.length > 0) throw notWhole(file, `it has ${foreign[0]}`);
}

function isFileName(path: string): boolean {
  if (path === ARCHIVE.manifest || path === ARCHIVE.store) return true;
  const [folder, name = '', ...rest] = path.split('/');
  const { kind } = parseSpoolName(name);
  return folder === ARCHIVE.spool && rest.length === 0 && (kind === 'input' || kind === 'output');
}

/** Compares the manifest, the store and each file. Throws BAD_REQUEST when something is missing or damaged. */
async function check(archive: string, folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, ARCHIVE.manifest), 'utf8').catch(() => '');
  const parsed = manifestSchema.safeParse(parseJson(text));
  if (!parsed.success) throw notWhole(archive, 'its manifest is missing or of another version');
  const manifest = parsed.data;
  const store = join(folder, ARCHIVE.store);
  if ((await sha256Of(store).catch(() => '')) !== manifest.sha256) throw notWhole(archive, 'its store is damaged');
  checkContent(store, { id: manifest.store, opened: manifest.opened });
  const database = new DatabaseSync(store, { readOnly: true });
  let missing = 0;
  try {
    const pictures = new StoredPictures(database);
    for (const { name, sha256 } of namedPictures(database)) {
      const found = pictures.sha256Of(name) ?? (await sha256Of(join(folder, ARCHIVE.spool, name)).catch(nullIfMissing));
      if (found === null) missing += 1;
      else if (sha256 !== null && found !== sha256) throw notWhole(archive, `${name} is damaged`);
    }
  } finally {
    database.close();
  }
  if (missing !== manifest.missing)
    throw notWhole(archive, `${missing - manifest.missing} of its pictures are missing`);
  return manifest;
}

function nullIfMissing(error: unknown): null {
  if (systemCode(error) === 'ENOENT') return null;
  throw error;
}

/** Makes every file private and durable. */
async function syncAll(folder: string, { files }: System): Promise<void> {
  const spool = join(folder, ARCHIVE.spool);
  const paths = (await readdir(spool)).map((name) => join(spool, name));
  for (const path of [join(folder, ARCHIVE.store), ...paths]) {
    await chmod(path, 0o600);
    // fsync(2) works on every descriptor of the file.
    await syncFolder(path, files);
  }
  await syncFolder(spool, files);
}

function notWhole(archive: string, reason: string, cause?: unknown): DarkroomError {
  const message = `Expected a whole backup of Darkroom, received ${archive}, which is none: ${reason}`;
  return new DarkroomError('BAD_REQUEST', message, { cause });
}
