import type { DockerSubject } from '../docker/subject.ts'
import type { FloorSubject } from '../floor.ts'
import type { GibilSubject } from '../gibil.ts'
import type { Sizes } from '../options.ts'

export interface Bench {
  /** Without boxes made ahead. */
  readonly gibil: GibilSubject
  /** With a warm pool; only what creates boxes differs. */
  readonly warm: GibilSubject
  readonly docker: DockerSubject | undefined
  readonly floor: FloorSubject
  readonly sizes: Sizes
  /** Of a box without a size of its own. */
  readonly limits: { readonly cpu: number; readonly memoryMib: number }
  /** Tells how far it is. */
  readonly say: (text: string) => void
}

/** One line of the table. */
export interface Row {
  readonly name: string
  readonly unit: 'ms' | 'MiB' | 'MiB/s' | 'score' | '%'
  /** By the name of the system under test; absent where it has no such thing. */
  readonly values: Readonly<Record<string, number>>
}

export interface Measured {
  readonly rows: readonly Row[]
  /** All that was seen, for the file of results. */
  readonly details: Readonly<Record<string, unknown>>
}
