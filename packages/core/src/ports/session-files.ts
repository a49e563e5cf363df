import type { Readable } from 'node:stream'

/** What a session printed at one moment. */
export interface Recorded {
  /** Bytes before it, since the agent began. What lies between two that do not meet is not kept. */
  readonly offset: number
  /** Milliseconds since the agent began. */
  readonly ms: number
  readonly data: Uint8Array
}

/** The work of a session as git takes it: its commits as a bundle, and all changes as a patch. */
export type ResultKind = 'bundle' | 'patch'

/** What is kept of sessions beside their records, bounded, also when their boxes are gone. */
export interface SessionFiles {
  /** Where its recording goes on; 0 before it has begun. What was cut off by a crash is not counted, and comes again. */
  nextOffset(id: string): Promise<number>
  /** Has reached the operating system when it resolves. The oldest is dropped when it is too long. */
  append(id: string, pieces: readonly Recorded[]): Promise<void>
  /** In order from the one that holds a byte offset on, or the oldest kept; ends where the recording ends now. */
  read(id: string, offset: number): AsyncIterable<Recorded>
  /** Replaces it at once. Answers its length. Throws `payload_too_large`, `disk_full`. */
  keepResult(id: string, kind: ResultKind, body: Readable): Promise<number>
  /** Undefined when there is none. */
  result(id: string, kind: ResultKind): Promise<Readable | undefined>
  remove(id: string): Promise<void>
}
