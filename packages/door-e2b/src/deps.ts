import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { BoxdClient } from '@gibil/boxd-client'
import type { GibilError, Image, Progress } from '@gibil/contract'
import type { ConnectOptions, ControlPlane, StepsBuild, VolumeFiles } from '@gibil/core'
import type { PortRefusal, PortVisit } from './ports.ts'
import type { DoorSettings } from './settings.ts'

/** What the door needs of the daemon that it is mounted in. */
export interface DoorDeps {
  readonly control: () => ControlPlane
  /** boxd in a box, by its id. */
  readonly boxd: (id: string, signal?: AbortSignal, options?: ConnectOptions) => BoxdClient
  /** Names of the images that boxes can be made of. */
  readonly imageNames: () => Promise<readonly string[]>
  /** Where templates come from and go to. */
  readonly images: TemplateImages
  /** The files of a volume, by its id, whoever's it is. */
  readonly volumeFiles: (id: string) => VolumeFiles
  /** Where templates are kept. */
  readonly templatesDir: string
  /** Resolves when boxes are served. */
  readonly ready: Promise<void>
  /** Aborts when the daemon begins to stop. */
  readonly stopping: AbortSignal
  /** What the access tokens of boxes are derived from: it must be the same after a restart. */
  readonly secret: string
  readonly settings: DoorSettings
  /** Passes what was let in on to a port of a box. */
  readonly ports: PortPasser
  readonly log: DoorLog
}

/** What builds of templates need of the images of this machine. */
interface TemplateImages {
  buildSteps(input: StepsBuild, options: BuildOptions): Promise<Pick<Image, 'workdir'>>
  /** With `whileUsed` its name goes at once, and it itself with the last box that uses it. Throws `image_not_found`. */
  remove(name: string, options: { readonly whileUsed: boolean }): Promise<void>
}

interface BuildOptions {
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** How a connection is passed on belongs to the daemon; who may, and what is said to who may not, to the door. */
export interface PortPasser {
  request(incoming: Incoming, outgoing: Outgoing, gate: PortGate): void
  upgrade(incoming: Incoming, socket: Duplex, head: Buffer, gate: PortGate): void
}

export interface PortGate {
  /** Throws GibilError, which `refusal` makes an answer of. */
  readonly admit: () => Promise<PortVisit>
  readonly refusal: (error: GibilError) => PortRefusal
}

export interface DoorLog {
  debug(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}

/** A request as it comes, by HTTP/1.1 or by the compatible form that Node gives HTTP/2. */
export type Incoming = IncomingMessage
export type Outgoing = ServerResponse
