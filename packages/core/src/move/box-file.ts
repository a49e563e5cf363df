import type { Readable } from 'node:stream'
import type { BoxManifest, ImportBox } from '@gibil/contract'

/** What of a manifest the box itself says; the rest is of the file. */
export type BoxFacts = Omit<BoxManifest, 'format' | 'version' | 'gibil' | 'arch'> & {
  /** Null: that of this machine. */
  readonly arch: BoxManifest['arch'] | null
}

export type TakeBox<T> = (facts: BoxFacts, tree: Readable) => Promise<T>

export interface ExportOptions {
  /** With the values of its environment. */
  readonly env?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ImportInput {
  readonly manifest: BoxManifest
  /** Fails when it is not whole. */
  readonly tree: Readable
  readonly wish: ImportBox
}
