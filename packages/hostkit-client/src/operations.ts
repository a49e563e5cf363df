/** The operations of hostkit/PROTOCOL.md. Paths are absolute, addresses IPv4, sizes MiB. */

export interface DiskCreate {
  readonly image: string
  /** 16 or more. */
  readonly sizeMib: number
  /** A prepared disk of the same size to copy. */
  readonly from?: string
}

export interface DiskMount {
  readonly image: string
  readonly target: string
  /** Further mount options of ext4, as after `mount -o`. */
  readonly options?: string
  /** Shows the ids `from` and above that are on the disk as `base` and above; those below 65 536 stay, and others have no owner. */
  readonly idmap?: IdMap & { readonly from: number }
}

export interface DiskSave {
  readonly image: string
  /** The new file; fine when it is there. */
  readonly to: string
  /** Where the disk is mounted, when it is: it is frozen while it is copied. */
  readonly target?: string
}

/** Shifts the ids 0 to `count` to `base` and above. */
export interface IdMap {
  readonly base: number
  readonly count: number
}

export interface MountOverlay {
  readonly target: string
  /** Layers, top first. */
  readonly lower: readonly string[]
  readonly upper: string
  readonly work: string
  readonly idmap?: IdMap
}

export interface MountBind {
  readonly source: string
  readonly target: string
  readonly readonly: boolean
}

/** What was saved of a container, to be read in one that runs. */
export interface InsideMount {
  /** A process of the container. */
  readonly pid: number
  /** In the container; made, or empty. */
  readonly path: string
  /** Of the source in the container's table of mounts. */
  readonly name: string
  /** A disk with the directory `upper`, whose file system is clean. It is not written to. */
  readonly image: string
  /** The first of the ids that own what is on it. */
  readonly from: number
  /** Layers below it, top first. */
  readonly layers: readonly string[]
  /** The ids of the container. */
  readonly idmap: IdMap
}

export interface InsidePlace {
  readonly pid: number
  readonly path: string
  /** What the names of such mounts begin with; no other is unmounted. */
  readonly name: string
}

export interface InsideMounted {
  readonly path: string
  readonly name: string
}

export interface Unmount {
  readonly target: string
  readonly recursive?: boolean
}

export interface Unmounted {
  /** Something was still in use after two seconds: it is gone from the tree, and ends with its last user. */
  readonly lazy: boolean
}

export interface NetCreate {
  readonly netns: string
  /** Name of the host's end, 15 characters at most. */
  readonly host: string
  readonly guest: string
  readonly guestAddress: string
  readonly gateway: string
  readonly mac: string
  readonly mtu: number
}

export interface NetRename {
  readonly from: string
  readonly to: string
  readonly guestAddress: string
}

export interface NetWithdraw {
  readonly host: string
  /** The machine whose link it is. */
  readonly pid: number
}

export interface ProcHostname {
  readonly pid: number
  readonly hostname: string
  /** The box's root file system, in which the box may have put anything. */
  readonly root?: string
  /** Files that say it too, by path below the root, with their new text. They must be there, and no part of the path a link. */
  readonly files?: Readonly<Record<string, string>>
}

export interface NetDestroy {
  readonly netns?: string
  readonly host?: string
}

/** The mounts of the host that a command needs beside those of the system's directories. */
export interface MountView {
  /** Paths, the same from call to call, of which the mounts that hold them are seen. */
  readonly keep: readonly string[]
  /** Mount points, holders first, of which the mounts are seen in this call. */
  readonly add: readonly string[]
}

export interface RunStart {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly log: string
  /** Where to make a listening unix socket that the command gets as file descriptor 3. */
  readonly socket?: string
  /** 1 to a day. The command and what is left of its process group are killed then, and the call throws `timeout`. */
  readonly timeoutMs: number
  /** Runs it in a mount namespace of its own in which nothing else is mounted; without, in the host's. */
  readonly mounts?: MountView
}

export interface RunResult {
  /** 128 and the signal's number when a signal ended it. */
  readonly exitCode: number
  /** The end of what was added to the log, 8 KiB at most. */
  readonly stderr: string
}

/** A unix socket that leads to the boxd of a virtual machine. */
export interface RelayOpen {
  readonly socket: string
  /** The process that is the machine: boxd is reached in its network namespace. */
  readonly pid: number
}

/** Where a machine's memory lies in its process. */
export interface MemoryRegion {
  readonly address: number
  readonly bytes: number
}

export interface MemorySave extends MemoryRegion {
  readonly pid: number
  /** Must not be there yet. */
  readonly path: string
}

/** What a file of a machine's memory holds. */
export interface SavedMemory {
  readonly sum: string
  /** Bytes of it that are not zero, in whole pages. */
  readonly data: number
}

export interface SweepQuery {
  readonly mountPrefix: string
  readonly linkPrefix: string
  readonly netnsPrefix: string
}

export interface SweepResult {
  readonly mounts: readonly string[]
  readonly links: readonly string[]
  readonly netns: readonly string[]
}
