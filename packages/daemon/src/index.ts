/** @module The daemon: composition root and HTTP API v1. */
export type { Compose, Parts } from './engine.ts'
export { type DaemonOptions, type RunningDaemon, startDaemon } from './start-daemon.ts'
