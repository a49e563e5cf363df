import { GibilError, type Version } from '@gibil/contract'
import type { ControlPlane } from '@gibil/core'
import type { Logger } from 'pino'
import type { Api, ImageService } from './api.ts'
import type { Home } from './process/home.ts'

/** The parts that serve boxes; `compose` makes the real ones. */
export interface Parts {
  readonly plane: ControlPlane
  readonly images: ImageService
  readonly boxd: Api['boxd']
  readonly hostChecks: Api['hostChecks']
  readonly volumeFiles: Api['daemon']['volumeFiles']
  /** Lets go of everything; boxes keep running. */
  close(): Promise<void>
}

interface ComposeOptions {
  readonly failpoint: string | undefined
  /** Spare boxes made ahead, at most. */
  readonly pool: number
}
export type Compose = (home: Home, log: Logger, options: ComposeOptions) => Promise<Parts>

/** The parts from the first thought of them to their end. */
export interface Engine {
  /** Resolves when boxes can be served; rejects with why not. */
  readonly ready: Promise<void>
  /** Throws `interrupted` before they are there. */
  parts(): Parts
  shapes(): Version['shapes']
  /** Calls that still wait for `ready` get `interrupted`. */
  refuse(): void
  close(): Promise<void>
}

const stopping = (): GibilError => new GibilError('interrupted', 'The daemon is starting or stopping.')

/** Makes the parts and starts the control plane, while the daemon already listens. */
export function startEngine(compose: () => Promise<Parts>): Engine {
  const ready = Promise.withResolvers<void>()
  // Nobody may be waiting.
  ready.promise.catch(() => undefined)
  let parts: Parts | undefined
  const composed = compose().then((made) => {
    parts = made
    return made
  })
  composed.then(({ plane }) => plane.start()).then(ready.resolve, ready.reject)
  return {
    ready: ready.promise,
    parts() {
      if (!parts) throw stopping()
      return parts
    },
    shapes: () => parts?.plane.shapes() ?? [],
    refuse: () => ready.reject(stopping()),
    async close() {
      const made = await composed.catch(() => undefined)
      try {
        await made?.plane.stop()
      } finally {
        await made?.close()
      }
    },
  }
}
