import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import type {
  DiskCreate,
  DiskMount,
  DiskSave,
  IdMap,
  InsideMount,
  InsideMounted,
  InsidePlace,
  MemoryRegion,
  MemorySave,
  MountBind,
  MountOverlay,
  NetCreate,
  NetDestroy,
  NetRename,
  NetWithdraw,
  ProcHostname,
  RelayOpen,
  RunResult,
  RunStart,
  SavedMemory,
  SweepQuery,
  SweepResult,
  Unmount,
  Unmounted,
} from './operations.ts'
import { type CallOptions, type HostkitLog, type HostkitProcess, parseResult, startHostkit } from './process.ts'

const Pong = z.object({ version: z.string(), pid: z.int() })
const Ran = z.object({ exitCode: z.int(), stderr: z.string() }) satisfies z.ZodType<RunResult>
const Taken = z.object({ lazy: z.boolean() }) satisfies z.ZodType<Unmounted>
const Region = z.object({ address: z.int().positive(), bytes: z.int().positive() }) satisfies z.ZodType<MemoryRegion>
const Memory = z.object({ sum: z.string(), data: z.int().min(0) }) satisfies z.ZodType<SavedMemory>
const Tsc = z.object({ khz: z.int().positive() })
const Inside = z.object({ mounted: z.array(z.object({ path: z.string(), name: z.string() })) })
const Watched = z.object({ key: z.string() })
const Swept = z.object({
  mounts: z.array(z.string()),
  links: z.array(z.string()),
  netns: z.array(z.string()),
}) satisfies z.ZodType<SweepResult>

/**
 * System calls for the daemon, made by hostkit. Every call may be repeated, and one that fails leaves nothing. All throw GibilError: `disk_full`,
 * `needs_root`, `missing_tool`, `timeout`, `cancelled`, `busy`, else `driver_failed`, with the errno in `details.errno`. When hostkit dies,
 * the calls under way throw `driver_failed`, and the next call starts it anew.
 */
export interface HostKit {
  diskCreate(args: DiskCreate): Promise<void>
  diskMount(args: DiskMount): Promise<void>
  /** Copies a disk as it is at one moment, also while it is in use: what writes to it waits as long. */
  diskSave(args: DiskSave): Promise<void>
  /** Lets a disk go on that a hostkit has left frozen which was killed in a `diskSave`. Fine when it is not frozen, or not mounted. */
  diskThaw(args: { readonly target: string }): Promise<void>
  /** Drops what is not yet written to a mounted disk, so that unmounting is quick. Only for a disk that is deleted next. */
  diskAbandon(args: { readonly target: string }): Promise<void>
  /** Makes ahead what a `mountOverlay` with this idmap needs: saves it 2 ms when other things are waited for anyway. */
  mountPrepare(idmap: IdMap): Promise<void>
  mountOverlay(args: MountOverlay): Promise<void>
  mountBind(args: MountBind): Promise<void>
  unmount(args: Unmount): Promise<Unmounted>
  /** EBUSY where something is mounted, ENOTEMPTY where something is. The mount ends with the container. */
  insideMount(args: InsideMount): Promise<void>
  /** EBUSY while a process uses it, ENOENT when none is there. */
  insideUnmount(args: InsidePlace): Promise<void>
  /** Those whose names begin so. */
  insideList(args: { readonly pid: number; readonly name: string }): Promise<readonly InsideMounted[]>
  netCreate(args: NetCreate): Promise<void>
  /** Names the host's end of a link anew; it loses no address and no route. */
  netRename(args: NetRename): Promise<void>
  /** Takes a link away from the host that the process of a machine holds open. */
  netWithdraw(args: NetWithdraw): Promise<void>
  netDestroy(args: NetDestroy): Promise<void>
  /** When the signal aborts, the command is killed, and this throws once it is gone. */
  runStart(args: RunStart, options?: { readonly signal?: AbortSignal | undefined }): Promise<RunResult>
  /** Names the host in the UTS namespace of a process, which must have one of its own. 1 to 64 bytes. */
  procHostname(args: ProcHostname): Promise<void>
  /** The relay ends with hostkit: open it again when the socket refuses. Throws `driver_failed` (ESRCH) when the process is gone. */
  relayOpen(args: RelayOpen): Promise<void>
  relayClose(args: { readonly socket: string }): Promise<void>
  /** Gives a QEMU that does not run its guest yet a private copy of the file that it has open as `fd` for its memory, or without one empty memory. */
  memoryReplace(args: { readonly pid: number; readonly fd?: number }): Promise<MemoryRegion>
  /** Writes the memory of a machine that stands still to a new sparse file, and the file to the disk. */
  memorySave(args: MemorySave): Promise<SavedMemory>
  /** Reads such a file whole: what comes back is what `memorySave` said, unless it is damaged. */
  memoryCheck(args: { readonly path: string }): Promise<SavedMemory>
  /** How fast the time stamp counter counts, measured for a tenth of a second. Throws `driver_failed` (ENOTSUP) where there is none. */
  hostTsc(): Promise<{ khz: number }>
  /** Settles when the process has ended. */
  procWatch(
    args: { readonly pid: number; readonly key: string },
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<void>
  sweepList(query: SweepQuery): Promise<SweepResult>
  ping(): Promise<{ version: string; pid: number }>
  /** Lets calls under way come to their end (watches apart) and ends hostkit; what it made stays. Later calls throw `interrupted`. */
  close(): Promise<void>
}

export interface HostKitOptions {
  /** Path of the hostkit binary. */
  readonly binary: string
  /** Called when hostkit ended without being asked to. Watches are gone then. */
  readonly onExit?: ((error: GibilError) => void) | undefined
  readonly log?: HostkitLog | undefined
}

/** Starts hostkit at the first call, and again at the next one when it has died. */
export function createHostKit(options: HostKitOptions): HostKit {
  const { binary, onExit, log = () => undefined } = options
  let current: HostkitProcess | undefined
  let closed = false

  const process = (): HostkitProcess => {
    if (current?.alive) return current
    current = startHostkit(binary, log, (error) => {
      log('warn', 'hostkit ended', { error: error.message, ...error.details })
      onExit?.(error)
    })
    log('debug', 'hostkit started', { binary })
    return current
  }
  const call = async <T>(op: string, schema: z.ZodType<T>, args: object, given?: CallOptions): Promise<T> => {
    if (closed) throw new GibilError('interrupted', `${op} came after the daemon let go of hostkit.`)
    return parseResult(op, schema, await process().call(op, args, given))
  }
  const order = async (op: string, args: object): Promise<void> => {
    await call(op, z.unknown(), args)
  }
  return {
    diskCreate: (args) => order('disk.create', args),
    diskMount: (args) => order('disk.mount', args),
    diskSave: (args) => order('disk.save', args),
    diskThaw: (args) => order('disk.thaw', args),
    diskAbandon: (args) => order('disk.abandon', args),
    mountPrepare: (idmap) => order('mount.prepare', idmap),
    mountOverlay: (args) => order('mount.overlay', args),
    mountBind: (args) => order('mount.bind', args),
    unmount: (args) => call('unmount', Taken, args),
    insideMount: (args) => order('inside.mount', args),
    insideUnmount: (args) => order('inside.unmount', args),
    insideList: async (args) => (await call('inside.list', Inside, args)).mounted,
    netCreate: (args) => order('net.create', args),
    netRename: (args) => order('net.rename', args),
    netWithdraw: (args) => order('net.withdraw', args),
    netDestroy: (args) => order('net.destroy', args),
    runStart: (args, { signal } = {}) => call('run.start', Ran, args, { signal }),
    procHostname: (args) => order('proc.hostname', args),
    relayOpen: (args) => order('relay.open', args),
    relayClose: (args) => order('relay.close', args),
    memoryReplace: (args) => call('memory.replace', Region, args),
    memorySave: (args) => call('memory.save', Memory, args),
    memoryCheck: (args) => call('memory.check', Memory, args),
    hostTsc: () => call('host.tsc', Tsc, {}),
    async procWatch(args, { signal } = {}) {
      await call('proc.watch', Watched, args, { signal, waits: true })
    },
    sweepList: (query) => call('sweep.list', Swept, query),
    ping: () => call('ping', Pong, {}),
    async close() {
      closed = true
      await current?.close()
    },
  }
}
