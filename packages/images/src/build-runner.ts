import type { Identity } from './users.ts'

/** Where a step of a build may connect to. `host`: the host's own network, for daemons that allow it. */
export type BuildNetwork =
  | { readonly kind: 'none' }
  | { readonly kind: 'host' }
  | { readonly kind: 'namespace'; readonly path: string; readonly resolvConf: string }

/** One command of a build, run apart from the host. */
export interface BuildStep {
  /** Layer directories, top first. */
  readonly layers: readonly string[]
  /** A folder of the step's own, where `tree` will be. */
  readonly folder: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly user: Identity
  readonly network: BuildNetwork
  /** Files of the host to show in the step, read-only. */
  readonly files?: readonly { readonly source: string; readonly target: string; readonly executable?: boolean }[]
  /** Empty folders for the time of the step, at these absolute paths. */
  readonly scratch?: readonly string[]
  readonly onLine: (line: string) => void
  readonly signal?: AbortSignal | undefined
}

export interface BuildStepResult {
  readonly exitCode: number
  /** The end of what it printed, 4 KiB at most. */
  readonly tail: string
  /** What the command changed, as a layer in the ids of the image; nothing of use when it failed. */
  readonly tree: string
}

export interface BuildRunner {
  /** Runs the command to its end. Throws when it could not be run; a command that fails is a result. */
  run(step: BuildStep): Promise<BuildStepResult>
}

/** Gives networks to build steps; `create` may be called again for the same id. */
export interface BuildNetworks {
  /** `resolvConf` is the text of the file. */
  create(id: string): Promise<{ netnsPath: string; resolvConf: string }>
  destroy(id: string): Promise<void>
}
