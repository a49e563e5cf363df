import type { Amounts, BudgetLimits, Charge, Event } from '@gibil/contract'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { SessionRecord } from '../session-record.ts'
import type { SnapshotRecord } from '../snapshot-record.ts'
import type { TokenRecord } from '../token-record.ts'

export interface BoxFilter {
  readonly fleet?: string
  readonly name?: string
  /** Undefined: of whomever. */
  readonly owner?: Owner
}

export type BilledBox = Pick<BoxRecord, 'id' | 'name' | 'owner'>
export type EndedCharge = Charge & { readonly to: number }

/**
 * What should be, kept across restarts. A write has reached the operating system when its promise resolves (it survives
 * the death of the daemon).
 */
export interface Store {
  /** Throws `name_in_use` when its owner keeps a box of that name, also when two inserts race. */
  insertBox(record: BoxRecord): Promise<void>
  /** Replaces the record of that id; false when it is gone. */
  saveBox(record: BoxRecord): Promise<boolean>
  getBox(id: string): Promise<BoxRecord | undefined>
  findBoxByName(name: string, owner: Owner): Promise<BoxRecord | undefined>
  /** Oldest first. */
  listBoxes(filter?: BoxFilter): Promise<BoxRecord[]>
  /** Without reading a record. */
  countBoxes(): Promise<number>
  removeBox(id: string): Promise<void>
  /** What the boxes of one owner take together; of a box that is to be made anew, the larger of both sizes. */
  amounts(owner: Owner): Promise<Amounts>

  /** Keeps what a box that is about to be gone has cost; fine when it does already. */
  keepCharges(box: BilledBox, charges: readonly EndedCharge[]): Promise<void>
  /** Of boxes that are gone, or are about to be; oldest first. */
  listCharges(): Promise<{ readonly box: BilledBox; readonly charge: EndedCharge }[]>

  /** What boxes of clouds may cost; no limit before it was set. */
  getBudget(): Promise<BudgetLimits>
  setBudget(limits: BudgetLimits): Promise<void>

  /** Throws `name_in_use` when its owner keeps a snapshot of that name. */
  insertSnapshot(record: SnapshotRecord): Promise<void>
  /** Replaces the record of that id, if it is there. */
  saveSnapshot(record: SnapshotRecord): Promise<void>
  getSnapshot(id: string): Promise<SnapshotRecord | undefined>
  findSnapshotByName(name: string, owner: Owner): Promise<SnapshotRecord | undefined>
  /** Oldest first; of one owner, or of all when undefined. */
  listSnapshots(owner?: Owner): Promise<SnapshotRecord[]>
  removeSnapshot(id: string): Promise<void>

  insertSession(record: SessionRecord): Promise<void>
  /** Replaces the record of that id, if it is there. */
  saveSession(record: SessionRecord): Promise<void>
  getSession(id: string): Promise<SessionRecord | undefined>
  /** Oldest first; of one owner, or of all when undefined. */
  listSessions(owner?: Owner): Promise<SessionRecord[]>
  removeSession(id: string): Promise<void>

  /** Throws `name_in_use`. */
  insertToken(token: TokenRecord): Promise<void>
  getToken(name: string): Promise<TokenRecord | undefined>
  findTokenByHash(hash: string): Promise<TokenRecord | undefined>
  /** By name. */
  listTokens(): Promise<TokenRecord[]>
  /** False when there is none. */
  removeToken(name: string): Promise<boolean>

  /** Keeps the event and gives it its number. The oldest beyond 10 000 are dropped. */
  appendEvent(event: Omit<Event, 'seq'>): Promise<Event>
  /** Events after `seq`, oldest first. */
  listEvents(afterSeq: number, limit: number): Promise<Event[]>
  /** The number of the newest event ever kept; 0 before the first. */
  lastEventSeq(): Promise<number>
  close(): Promise<void>
}
