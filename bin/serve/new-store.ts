import { Option } from 'commander';

/**
 * `--new-store`, for a start that was refused because accepted pictures may be lost. It is a flag only: as an
 * environment variable it could stay set, and the next lost store would be replaced without a question.
 */
export function newStoreOption(): Option {
  const text = 'if the store is lost or damaged, move every file to lost+found in the data folder and start empty';
  return new Option('--new-store', text).helpGroup('Storage:');
}

/** True when the flag is given. */
export function isNewStore(flags: Readonly<Record<string, unknown>>): boolean {
  return flags['newStore'] === true;
}
