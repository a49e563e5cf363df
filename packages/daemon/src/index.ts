/** @module The daemon: composition root and HTTP API v1. */
export { type Compose, type DaemonOptions, type Parts, type RunningDaemon, startDaemon } from './start-daemon.ts'
