import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import type {
  DiskCreate,
  DiskMount,
  MountBind,
  MountOverlay,
  NetCreate,
  NetDestroy,
  RunResult,
  RunStart,
  SweepQuery,
  SweepResult,
  Unmount,
} from './operations.ts'
import { type HostkitProcess, startHostkit } from './process.ts'

const Pong = z.object({ version: z.string(), pid: z.int() })
const Ran = z.object({ exitCode: z.int(), stderr: z.string() })
const Swept = z.object({ mounts: z.array(z.string()), links: z.array(z.string()), netns: z.array(z.string()) })

/**
 * System calls for the daemon, made by hostkit. Every call may be repeated. All throw GibilError: `disk_full`, `needs_root`,
 * `missing_tool`, else `driver_failed` with the errno in `details.errno`.
 */
export interface HostKit {
  diskCreate(args: DiskCreate): Promise<void>
  diskMount(args: DiskMount): Promise<void>
  mountOverlay(args: MountOverlay): Promise<void>
  mountBind(args: MountBind): Promise<void>
  unmount(args: Unmount): Promise<void>
  netCreate(args: NetCreate): Promise<void>
  netDestroy(args: NetDestroy): Promise<void>
  runStart(args: RunStart): Promise<RunResult>
  /** Settles when the process has ended. */
  procWatch(args: { pid: number; key: string }): Promise<void>
  sweepList(query: SweepQuery): Promise<SweepResult>
  ping(): Promise<{ version: string; pid: number }>
  /** Ends hostkit; what it made stays. */
  close(): Promise<void>
}

/** Starts hostkit at the first call, and again at the next one when it has died. */
export function createHostKit(options: { readonly binary: string }): HostKit {
  let current: HostkitProcess | undefined
  let closed = false
  const call = (op: string, args: object): Promise<unknown> => {
    if (closed) return Promise.reject(new GibilError('interrupted', `${op} came after the daemon let go of hostkit.`))
    if (!current?.alive) current = startHostkit(options.binary)
    return current.call(op, args)
  }
  const order = async (op: string, args: object): Promise<void> => {
    await call(op, args)
  }
  return {
    diskCreate: (args) => order('disk.create', args),
    diskMount: (args) => order('disk.mount', args),
    mountOverlay: (args) => order('mount.overlay', args),
    mountBind: (args) => order('mount.bind', args),
    unmount: (args) => order('unmount', args),
    netCreate: (args) => order('net.create', args),
    netDestroy: (args) => order('net.destroy', args),
    runStart: async (args) => Ran.parse(await call('run.start', args)),
    procWatch: (args) => order('proc.watch', args),
    sweepList: async (query) => Swept.parse(await call('sweep.list', query)),
    ping: async () => Pong.parse(await call('ping', {})),
    async close() {
      closed = true
      await current?.close()
    },
  }
}
