/** @module Speaks hostkit/PROTOCOL.md to the process that makes system calls for the daemon. */
export { createHostKit, type HostKit, type HostKitOptions } from './hostkit.ts'
export { lineSplitter } from './lines.ts'
export type * from './operations.ts'
export type { HostkitLog } from './process.ts'
