import type { Duplex, Readable } from 'node:stream'
import { type Exit, GibilError, type Job, type JobOutput, type SendSignal, type TreeReport } from '@gibil/contract'
import { createBoxdClient } from './client.ts'
import { runToEnd } from './run-to-end.ts'
import type { BoxdClient, Defaults, Dial, StartRequest, TimedOutput, TreeSurvey } from './types.ts'

/** boxd as the domain sees it: `BoxdPort` of core, by its shape. */
export interface ConnectedBoxd {
  health(): Promise<{ version: string }>
  configure(defaults: Defaults): Promise<void>
  /** Runs to the end, giving output as it comes. When the signal aborts, the command's whole group is killed. */
  exec(
    request: StartRequest,
    onOutput: (stream: 'stdout' | 'stderr', data: Uint8Array) => void,
    signal?: AbortSignal,
  ): Promise<Exit>
  startJob(request: StartRequest): Promise<string>
  jobs(): Promise<readonly Job[]>
  jobOutput(id: string, options: { readonly offset: number; readonly waitMs: number }): Promise<JobOutput>
  timedOutput(
    id: string,
    options: { readonly offset: number; readonly waitMs: number; readonly limit: number },
  ): Promise<TimedOutput>
  signalJob(id: string, signal: SendSignal): Promise<void>
  forgetJob(id: string): Promise<void>
  download(path: string): Promise<Readable>
  /** Undefined when there is no such file. Throws `payload_too_large` beyond `maxBytes`. */
  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined>
  putTar(path: string, tar: Readable, user?: string): Promise<void>
  dialPort(port: number): Promise<Duplex>
  shutdown(graceMs: number): Promise<void>
  surveyTree(exclude: readonly string[]): Promise<TreeSurvey>
  readTree(exclude: readonly string[]): Promise<Readable>
  readTreeFirst(exclude: readonly string[]): Promise<Readable>
  readTreeRest(): Promise<Readable>
  layTree(tar: Readable): Promise<TreeReport>
  standStill(): Promise<() => void>
}

/** Speaks to boxd by dialling it anew for each call. */
export function connectBoxd(dial: Dial): ConnectedBoxd {
  const client = createBoxdClient(dial)
  return {
    health: () => client.health(),
    configure: (defaults) => client.configure(defaults),
    exec: (request, onOutput, signal) => runToEnd(client, request, { onOutput, signal }),
    startJob: async (request) => (await client.startJob(request)).id,
    jobs: () => client.listJobs(),
    jobOutput: (id, options) => client.jobOutput(id, options),
    timedOutput: (id, options) => client.timedOutput(id, options),
    signalJob: (id, signal) => client.signalJob(id, signal),
    download: async (path) => (await client.readFile(path)).body,
    forgetJob: (id) => client.forgetJob(id),
    readFile: (path, maxBytes) => readSmallFile(client, path, maxBytes),
    putTar: (path, tar, user) => client.writeTar(path, tar, { user }),
    dialPort: (port) => client.dial(port),
    shutdown: (graceMs) => client.shutdown(graceMs),
    surveyTree: (exclude) => client.surveyTree(exclude),
    readTree: (exclude) => client.readWholeTree(exclude),
    readTreeFirst: (exclude) => client.readTreeFirst(exclude),
    readTreeRest: () => client.readTreeRest(),
    layTree: (tar) => client.layTree(tar),
    standStill: () => client.standStill(),
  }
}

async function readSmallFile(client: BoxdClient, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  let download: Awaited<ReturnType<BoxdClient['readFile']>>
  try {
    download = await client.readFile(path)
  } catch (error) {
    if (GibilError.is(error) && error.code === 'file_not_found') return undefined
    throw error
  }
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of download.body) {
    length += piece.length
    // Leaving the loop ends the stream, and with it the connection.
    if (length > maxBytes) throw new GibilError('payload_too_large', `${path} is larger than ${maxBytes} bytes.`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces, length)
}
