import type { Event } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'

export interface BoxFilter {
  readonly fleet?: string
  readonly name?: string
}

/**
 * What should be, kept across restarts. A write has reached the operating system when its promise resolves (it survives
 * the death of the daemon).
 */
export interface Store {
  /** Throws `name_in_use` when a box of that name is kept, also when two inserts race. */
  insertBox(record: BoxRecord): Promise<void>
  /** Replaces the record of that id; false when it is gone. */
  saveBox(record: BoxRecord): Promise<boolean>
  getBox(id: string): Promise<BoxRecord | undefined>
  findBoxByName(name: string): Promise<BoxRecord | undefined>
  /** Oldest first. */
  listBoxes(filter?: BoxFilter): Promise<BoxRecord[]>
  /** Without reading a record. */
  countBoxes(): Promise<number>
  removeBox(id: string): Promise<void>

  /** Keeps the event and gives it its number. The oldest beyond 10 000 are dropped. */
  appendEvent(event: Omit<Event, 'seq'>): Promise<Event>
  /** Events after `seq`, oldest first. */
  listEvents(afterSeq: number, limit: number): Promise<Event[]>
  /** The number of the newest event ever kept; 0 before the first. */
  lastEventSeq(): Promise<number>
  close(): Promise<void>
}
