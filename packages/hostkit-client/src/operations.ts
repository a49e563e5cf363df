/** The operations of hostkit/PROTOCOL.md. Paths are absolute, addresses IPv4, sizes MiB. */

export interface DiskCreate {
  readonly image: string
  readonly sizeMib: number
  /** A prepared disk of the same size to copy. */
  readonly from?: string
}

export interface DiskMount {
  readonly image: string
  readonly target: string
  readonly options?: string
}

export interface MountOverlay {
  readonly target: string
  /** Layers, top first. */
  readonly lower: readonly string[]
  readonly upper: string
  readonly work: string
  readonly idmap?: { readonly base: number; readonly count: number }
}

export interface MountBind {
  readonly source: string
  readonly target: string
  readonly readonly: boolean
}

export interface Unmount {
  readonly target: string
  readonly recursive?: boolean
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

export interface NetDestroy {
  readonly netns?: string
  readonly host?: string
}

export interface RunStart {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly log: string
  /** Where to make a listening unix socket that the command gets as file descriptor 3. */
  readonly socket?: string
  readonly timeoutMs: number
}

export interface RunResult {
  /** -1 when a signal ended it. */
  readonly exitCode: number
  /** The end of what it printed, 8 KiB at most. */
  readonly stderr: string
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
