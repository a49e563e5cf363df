import { Job, JobOutput } from '@gibil/contract'
import * as z from 'zod'
import type { Transport } from '../connect/transport.ts'
import { type Command, type CommandOptions, startRequest } from './command.ts'
import { type CommandStream, openCommandStream, type SignalName, type StreamSettings } from './command-stream.ts'

export interface OutputOptions {
  /** Bytes of output to skip; default: the oldest that is kept. */
  readonly offset?: number | undefined
  /** At most so many bytes; default 64 KiB. */
  readonly limit?: number | undefined
  /** Waits up to so long (60 000 ms at most) for the first new byte or the exit. */
  readonly waitMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Commands that boxd keeps, whether or not anyone is attached. */
export interface Jobs {
  /** Starts a command that goes on by itself. */
  start(command: Command, options?: CommandOptions & { readonly signal?: AbortSignal }): Promise<Job>
  /** Oldest first; the last 256 that ended are kept. */
  list(options?: { readonly signal?: AbortSignal }): Promise<Job[]>
  get(id: string, options?: { readonly signal?: AbortSignal }): Promise<Job>
  output(id: string, options?: OutputOptions): Promise<JobOutput>
  /** Everything from an offset on, then live, until it ends. */
  attach(id: string, options?: StreamSettings & { readonly offset?: number | undefined }): Promise<CommandStream>
  /** Signals the process group, or with `group: false` the process alone. Fine when it has ended. */
  kill(id: string, signal?: SignalName, options?: { readonly group?: boolean }): Promise<void>
  /** Writes to its input; `end` closes it afterwards. */
  write(id: string, data: string | Uint8Array, options?: { readonly end?: boolean }): Promise<void>
  /** Forgets one that has ended. */
  forget(id: string): Promise<void>
}

export function createJobs(transport: Transport, box: () => string): Jobs {
  const path = (id?: string, rest = ''): string =>
    `${box()}/jobs${id === undefined ? '' : `/${encodeURIComponent(id)}`}${rest}`
  return {
    start: (command, options = {}) =>
      transport.call(Job, 'POST', path(), { body: startRequest(command, options), signal: options.signal }),
    list: (options = {}) => transport.call(z.array(Job), 'GET', path(), options),
    get: (id, options = {}) => transport.call(Job, 'GET', path(id), options),
    output: (id, { offset, limit, waitMs, signal } = {}) =>
      transport.call(JobOutput, 'GET', path(id, '/output'), { query: { offset, limit, waitMs }, signal }),
    attach: (id, { offset, ...settings } = {}) =>
      openCommandStream(
        transport,
        `${box()}/exec`,
        { attach: id, ...(offset === undefined ? {} : { offset }) },
        settings,
      ),
    kill: (id, signal = 'SIGTERM', { group } = {}) =>
      transport.send('POST', path(id, '/signal'), { body: { signal, ...(group === undefined ? {} : { group }) } }),
    write: (id, data, { end } = {}) =>
      transport.send('POST', path(id, '/stdin'), {
        raw: typeof data === 'string' ? Buffer.from(data) : data,
        query: { end: end ? 1 : undefined },
      }),
    forget: (id) => transport.send('DELETE', path(id)),
  }
}
