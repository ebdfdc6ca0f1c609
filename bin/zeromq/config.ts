import { z } from 'zod';
import { clientSettings } from '../http/config.ts';

const endpoint = z
  .string()
  .transform((text) => (text.includes('://') ? text : `tcp://${text}`))
  .pipe(z.string().regex(/^\w+:\/\/\S+$/, 'an address such as tcp://127.0.0.1:5555'));

/** The addresses of Server A's ZeroMQ sockets. */
export const zeromqAddresses = z.object({
  zeromq: endpoint
    .default('tcp://127.0.0.1:5555')
    .meta({ group: 'Server' })
    .describe('address of Server A for ZeroMQ requests'),
  zeromqPub: endpoint
    .default('tcp://127.0.0.1:5556')
    .meta({ group: 'Server' })
    .describe('address at which Server A publishes the classes of listed URLs'),
});

const { apiKey } = clientSettings.shape;
const patience = z.coerce
  .number()
  .positive()
  .default(120)
  .meta({ group: 'Server' })
  .describe('seconds to wait for the next message from Server A');

/** Settings of a client that sends requests. */
export const requestSettings = z.object({ zeromq: zeromqAddresses.shape.zeromq, apiKey, patience });
/** Settings of a client that sends a list. */
export const listSettings = z.object({ ...zeromqAddresses.shape, apiKey, patience });

export type RequestSettings = z.infer<typeof requestSettings>;
export type ListSettings = z.infer<typeof listSettings>;
