import type { Duplex } from 'node:stream'
import {
  Box,
  ConsoleText,
  type Egress,
  Metrics,
  Mount,
  type MoveBox,
  Moved,
  OpenPort,
  PortAddress,
  type RestartBox,
  RunResult,
  SetupLogPage,
  type StopBox,
  type TtySize,
  type Wait,
} from '@gibil/contract'
import * as z from 'zod'
import { callWithProgress, readEvents } from '../connect/sse.ts'
import { errorOf, parseAnswer, type Query, type Transport } from '../connect/transport.ts'
import { type BoxExport, type ExportOptions, exportBox } from '../export-box.ts'
import type { LongCallOptions } from '../images.ts'
import { createPull, type PullApi } from '../repo/pull.ts'
import { type PushOptions, type PushResult, pushTree } from '../repo/push.ts'
import { type Command, type CommandOptions, commandFailure, type RunOptions, startRequest } from './command.ts'
import { type CommandStream, openCommandStream, type StreamOptions, type StreamSettings } from './command-stream.ts'
import { dialPort, openBytes } from './dial.ts'
import { createFiles, type Files } from './files.ts'
import { createJobs, type Jobs } from './jobs.ts'
import { shellCommand } from './shell.ts'

export interface ShellOptions extends CommandOptions, StreamSettings {
  readonly tty: TtySize
  /** Instead of the login shell of the user. */
  readonly command?: Command | undefined
}

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** One box, reached through a daemon. Every method throws GibilError. */
export interface BoxHandle {
  /** The name or id by which calls are made. */
  readonly ref: string
  /** The name, or the reference that was given as long as nothing more is known. */
  readonly name: string

  /** The box as last seen; asks the daemon the first time. */
  info(options?: Cancel): Promise<Box>
  /** The box as it is now. */
  refresh(options?: Cancel): Promise<Box>
  /** Waits until it has come so far; throws its failure when it failed. */
  wait(until: Wait, options?: LongCallOptions): Promise<Box>
  /** What set-up printed, from a byte offset on. */
  log(
    options?: Cancel & { readonly offset?: number | undefined; readonly limit?: number | undefined },
  ): Promise<SetupLogPage>

  /** What set-up prints as it comes, from a byte offset on, until it has ended. */
  followLog(options?: Cancel & { readonly offset?: number | undefined }): AsyncIterable<SetupLogPage>

  /** Runs to the end. An exit code other than 0 is a result, no error, unless `check` is set. */
  run(command: Command, options?: RunOptions): Promise<RunResult>
  /** Runs with live output; comes back by itself after the connection dropped. */
  stream(command: Command, options?: StreamOptions): Promise<CommandStream>
  /** A terminal with the login shell of the user. */
  shell(options: ShellOptions): Promise<CommandStream>
  readonly jobs: Jobs
  readonly files: Files

  /** What listens in it. */
  ports(options?: Cancel): Promise<OpenPort[]>
  /** Gives a port an address of its own; again: changes who is let in. Private unless `public`. */
  publish(port: number, options?: Cancel & { readonly public?: boolean }): Promise<PortAddress>
  /** Takes the address back, and its token with it. Throws `port_not_published`. */
  unpublish(port: number, options?: Cancel): Promise<void>
  /** Published ports with their addresses and tokens. */
  published(options?: Cancel): Promise<PortAddress[]>
  metrics(options?: Cancel): Promise<Metrics>
  /** A TCP connection to a port in the box. */
  dial(port: number, options?: Cancel): Promise<Duplex>
  /** The bytes of a connection to the SSH server of the daemon, already in this box; for a client of ssh. */
  ssh(options?: Cancel): Promise<Duplex>

  /** A new time to live, counted from now: `90m`, `2h`, a number of minutes, or `none`. */
  extend(ttl: string | number, options?: Cancel): Promise<Box>
  /** Addresses that it may, or may not, connect to, in place of what was said before. It holds at once. */
  setEgress(egress: Partial<Egress>, options?: Cancel): Promise<Box>
  pause(options?: Cancel): Promise<Box>
  resume(options?: Cancel): Promise<Box>
  /** A box of a cloud that is off is billed as one that is on, unless `snapshot`: then it is kept as one, and its machine goes. */
  stop(options?: StopBox & LongCallOptions): Promise<Box>
  start(options?: LongCallOptions): Promise<Box>
  /**
   * Ends what runs in it and starts it again on its disk; starts it if it does not run. `force`: at once, as for a box that hangs. `fresh`: on a new
   * disk made from its image.
   */
  restart(options?: RestartBox & LongCallOptions): Promise<Box>
  /** What its kernel printed of late. Throws `unsupported_by_shape` for a shape without a kernel of its own. */
  console(options?: Cancel): Promise<string>
  /** Puts it back to a snapshot, by name or id: it keeps name, id and lease, and runs afterwards. */
  restore(snapshot: string, options?: LongCallOptions): Promise<Box>
  /**
   * Makes it one of another shape, provider or size: its files, name, id and lease go along, processes do not. When it fails, the box is what it was.
   */
  move(to: MoveBox, options?: LongCallOptions): Promise<Moved>
  /** As one file, to be carried to another machine. It stands still while that is read, and goes on. Throws `wrong_state`. */
  export(options?: ExportOptions): Promise<BoxExport>
  /** Lets it read a snapshot, by default at /snapshots/<name>, until that is unmounted or the box stops. */
  mount(snapshot: string, options?: Cancel & { readonly path?: string | undefined }): Promise<Mount>
  /** `at`: the path, or the snapshot. */
  unmount(at: string, options?: Cancel): Promise<Mount>
  mounts(options?: Cancel): Promise<Mount[]>
  /** Resolves when nothing of it is left. */
  destroy(options?: LongCallOptions): Promise<Box>

  /** Uncommitted work of a local directory into the box. */
  push(local: string, options?: PushOptions): Promise<PushResult>
  /** Changes made in the box, as a patch, commits or files. */
  readonly pull: PullApi
}

export function createBoxHandle(transport: Transport, ref: string, known?: Box): BoxHandle {
  let last = known
  const path = `/boxes/${encodeURIComponent(ref)}`
  const box = (): string => path

  const keep = (info: Box): Box => {
    last = info
    return info
  }
  const change = async (
    verb: string,
    options: LongCallOptions & { readonly body?: unknown; readonly query?: Query } = {},
  ): Promise<Box> => keep(await callWithProgress(transport, Box, 'POST', `${path}/${verb}`, options))
  const refresh: BoxHandle['refresh'] = async (options = {}) => keep(await transport.call(Box, 'GET', path, options))

  const handle: BoxHandle = {
    ref,
    get name() {
      return last?.name ?? ref
    },
    info: async (options) => last ?? refresh(options),
    refresh,
    wait: async (until, options = {}) =>
      keep(await callWithProgress(transport, Box, 'GET', `${path}/wait`, { query: { for: until }, ...options })),
    log: ({ signal, ...query } = {}) => transport.call(SetupLogPage, 'GET', `${path}/log`, { query, signal }),

    async *followLog({ signal, ...query } = {}) {
      for await (const event of readEvents(transport, 'GET', `${path}/log/follow`, { query, signal })) {
        if (event.event === 'log') yield parseAnswer(SetupLogPage, event.data, 'log/follow')
        else if (event.event === 'error') throw errorOf(500, event.data)
      }
    },

    async run(command, { stdin, maxOutputBytes, check, signal, ...options } = {}) {
      const body = {
        ...startRequest(command, options),
        ...(stdin === undefined ? {} : { stdin }),
        ...(maxOutputBytes === undefined ? {} : { maxOutputBytes }),
      }
      const result = await transport.call(RunResult, 'POST', `${path}/run`, { body, signal })
      if (check && result.exitCode !== 0) throw commandFailure(command, result)
      return result
    },
    stream: (command, { stdin, tty, signal, reattachMs, ...options } = {}) =>
      openCommandStream(
        transport,
        `${path}/exec`,
        {
          ...startRequest(command, options),
          ...(stdin === undefined ? {} : { stdin }),
          ...(tty === undefined ? {} : { tty, stdin: true }),
        },
        { signal, reattachMs },
      ),
    shell: ({ command = shellCommand, ...options }) =>
      handle.stream(command, { label: 'shell', ...options, stdin: true }),
    jobs: createJobs(transport, box),
    files: createFiles(transport, box),

    ports: (options = {}) => transport.call(z.array(OpenPort), 'GET', `${path}/ports`, options),
    publish: (port, { signal, public: open = false } = {}) =>
      transport.call(PortAddress, 'PUT', `${path}/published/${port}`, { body: { public: open }, signal }),
    unpublish: (port, options = {}) => transport.send('DELETE', `${path}/published/${port}`, options),
    published: (options = {}) => transport.call(z.array(PortAddress), 'GET', `${path}/published`, options),
    metrics: (options = {}) => transport.call(Metrics, 'GET', `${path}/metrics`, options),
    dial: (port, options = {}) => dialPort(transport, path, port, options.signal),
    ssh: (options = {}) => openBytes(transport, `${path}/ssh`, options),

    extend: (ttl, options) => change('extend', { body: { ttl }, ...options }),
    setEgress: async (egress, options = {}) =>
      keep(await transport.call(Box, 'PUT', `${path}/egress`, { body: egress, ...options })),
    pause: (options) => change('pause', options),
    resume: (options) => change('resume', options),
    stop: ({ snapshot, ...options } = {}) =>
      change('stop', { query: { snapshot: snapshot ? 1 : undefined }, ...options }),
    start: (options) => change('start', options),
    restart: ({ force, fresh, ...options } = {}) =>
      change('restart', { body: { ...(force ? { force } : {}), ...(fresh ? { fresh } : {}) }, ...options }),
    console: async (options = {}) => (await transport.call(ConsoleText, 'GET', `${path}/console`, options)).text,
    mount: (snapshot, { path: place, ...options } = {}) =>
      transport.call(Mount, 'POST', `${path}/mounts`, {
        body: { snapshot, ...(place === undefined ? {} : { path: place }) },
        ...options,
      }),
    unmount: (at, options = {}) => transport.call(Mount, 'DELETE', `${path}/mounts`, { query: { at }, ...options }),
    mounts: (options = {}) => transport.call(z.array(Mount), 'GET', `${path}/mounts`, options),
    async move(to, options = {}) {
      const moved = await callWithProgress(transport, Moved, 'POST', `${path}/move`, { body: to, ...options })
      keep(moved.box)
      return moved
    },
    export: (options) => exportBox(transport, path, options),
    restore: (snapshot, options) => change('restore', { body: { snapshot }, ...options }),
    destroy: async (options = {}) => keep(await callWithProgress(transport, Box, 'DELETE', path, options)),

    push: (local, options) => pushTree(handle, local, options),
    get pull() {
      return createPull(handle)
    },
  }
  return handle
}
