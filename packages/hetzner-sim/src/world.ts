import type { Actions } from './actions.ts'
import type { FaultSource } from './faults.ts'
import type { Machines } from './machines/port.ts'
import type { Project } from './model.ts'
import type { Bucket } from './rate-limit.ts'

/** All that answers to requests are made of. */
export interface World {
  /** Unix milliseconds. */
  readonly now: () => number
  readonly tokens: ReadonlyMap<string, Token>
  readonly faults: FaultSource
  readonly actions: Actions
  readonly machines: Machines
  readonly nextId: () => number
  /** A public address that no project has. */
  readonly freeIpv4: () => string
  /** To be called after each change of a project. */
  readonly changed: () => void
}

/** A token belongs to one project. */
export interface Token {
  readonly project: Project
  readonly bucket: Bucket
  readonly access: 'read' | 'read_write'
}
