import type { BoxdClient } from '@gibil/boxd-client'
import type { Health, HostCheck, ProxyState, Version } from '@gibil/contract'
import type { BoxPlane, ConnectOptions, ControlPlane, Owner, VolumeFiles } from '@gibil/core'
import type { ImageStore } from '@gibil/images'
import type { Logger } from 'pino'
import type { OpenApiDocument } from './documents/document.ts'
import type { E2bMount } from './e2b/e2b-mount.ts'
import type { OpenCalls } from './http/open-calls.ts'
import type { DaemonMetrics } from './metrics.ts'
import type { OpenVisits } from './proxy/open-visits.ts'
import type { OutputBudget } from './routes/output-budget.ts'
import type { SshDoor } from './ssh-door.ts'

/** What the routes need of the images of this machine. */
export type ImageService = Pick<
  ImageStore,
  'list' | 'build' | 'buildSteps' | 'cloudScript' | 'pull' | 'importTar' | 'remove' | 'prune'
>

/** All that the routes work with: the administrator's, or what a token has of it (see `apiOf`). */
export interface Api {
  /** The boxes that the caller may know of. */
  readonly plane: BoxPlane
  /** Everything. Throws `administrator_only` when a token calls. */
  readonly control: ControlPlane
  readonly images: ImageService
  /** boxd in a box, reached anew for each call. */
  readonly boxd: (ref: string, signal?: AbortSignal, options?: ConnectOptions) => BoxdClient
  /** What the drivers need of this host, looked at now. */
  readonly hostChecks: () => Promise<HostCheck[]>
  /** Memory for the output that this caller waits for. */
  readonly output: OutputBudget
  readonly metrics: DaemonMetrics
  readonly log: Logger
  readonly daemon: DaemonState
}

interface DaemonState {
  readonly token: string
  readonly openCalls: OpenCalls
  readonly outputOf: (owner: Owner) => OutputBudget
  readonly status: () => Health['status']
  readonly version: () => Version
  /** Resolves when the control plane has started; until then, boxes are not served. */
  readonly ready: Promise<void>
  /** Of whoever's it is: who calls has shown that he may. */
  readonly volumeFiles: (id: string) => VolumeFiles
  /** Aborts when the daemon begins to stop: streams without an end are ended by it. */
  readonly stopping: AbortSignal
  /** The OpenAPI document of the routes; made when first asked for. */
  readonly document: () => Promise<OpenApiDocument>
  readonly proxy: {
    readonly state: () => ProxyState
    readonly visits: OpenVisits
  }
  readonly e2b: E2bMount
  readonly ssh: SshDoor
  /** Begins a graceful stop and returns at once. */
  readonly requestStop: () => void
}
