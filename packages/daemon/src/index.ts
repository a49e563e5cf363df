/** @module The daemon: composition root and HTTP API v1. */
export type { Parts } from './engine.ts'
export { type Compose, type DaemonOptions, type RunningDaemon, startDaemon } from './start-daemon.ts'
