/** @module Speaks hostkit/PROTOCOL.md to the process that makes system calls for the daemon. */
export { createHostKit, type HostKit } from './hostkit.ts'
export type * from './operations.ts'
