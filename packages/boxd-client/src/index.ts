/** @module A client of boxd over any byte stream. boxd/PROTOCOL.md is the reference; every byte that boxd sends is taken as hostile. */
export { createBoxdClient } from './client.ts'
export { type ConnectedBoxd, connectBoxd } from './connect-boxd.ts'
export type { FileDetails } from './file-details.ts'
export type {
  Arrival,
  BoxdClient,
  BoxdClientOptions,
  BoxListener,
  CommandChannel,
  Defaults,
  Dial,
  Download,
  Frame,
  Identity,
  OutputQuery,
  ServedDisk,
  StartRequest,
} from './types.ts'
