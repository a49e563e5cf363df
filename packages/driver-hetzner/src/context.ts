import type { Duplex } from 'node:stream'
import type { Log } from '@gibil/host'
import type { BoxFiles } from './box-files.ts'
import type { CatalogSource } from './catalog.ts'
import type { Client } from './client/client.ts'
import type { Pace } from './client/pace.ts'
import type { Links } from './links.ts'
import type { Step } from './steps.ts'

/** Where a box is and how one comes in. */
export interface LinkTarget {
  readonly id: string
  readonly host: string
  readonly username: string
  readonly privateKey: string
  /** The one key that the machine may show, as one line of OpenSSH. */
  readonly hostKey: string
}

/** The connection to one box, made when it is first needed and again whenever it is lost. */
export interface Link {
  /** Waits until somebody can log in, as long as the signal lets it. Throws `host_key_mismatch` at once. */
  connected(signal: AbortSignal): Promise<void>
  /** A byte stream to boxd. */
  dial(signal?: AbortSignal): Promise<Duplex>
  /** Runs a command of the login shell; returns its exit code. */
  execLines(command: string, onLine: (line: string) => void, signal?: AbortSignal): Promise<number>
  close(): void
}

export type OpenLink = (target: LinkTarget) => Link

/** What the verbs work with. */
export interface Context {
  readonly client: Client
  readonly catalog: CatalogSource
  readonly pace: Pace
  readonly files: BoxFiles
  readonly links: Links
  /** Which of all homes that have the token this is. */
  readonly home: string
  /** How people call this machine. */
  readonly host: string
  /** From where SSH is admitted, as CIDRs. */
  readonly sshFrom: readonly string[]
  /** How long a machine may take until boxd answers in it, in ms. */
  readonly bootMs: number
  readonly log: Log
  readonly step: Step
}
