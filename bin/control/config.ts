import { z } from 'zod';
import { commonSettings } from '../../shared/config.ts';

/** The setting of every command for the owner of a data folder. */
export const ownerSettings = z.object({ dataDir: commonSettings.dataDir });
