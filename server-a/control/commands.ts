import { backupCommand } from './backup.ts';
import type { ControlCommand } from './command.ts';
import { quarantineListCommand, quarantineReleaseCommand } from './quarantine.ts';

/** Every command of the control socket. A new one is a file in this folder and an entry here. */
export const COMMANDS: readonly ControlCommand[] = [backupCommand, quarantineListCommand, quarantineReleaseCommand];
