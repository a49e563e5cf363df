import { GibilError } from '@gibil/contract'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { BoxFilter, Store } from '../ports/store.ts'
import { createKeyedQueue } from '../util/keyed-queue.ts'
import { boxMeantBy } from './box-reference.ts'
import type { EventLog } from './event-log.ts'
import { transitions } from './transitions.ts'

type Change = (record: BoxRecord) => Partial<BoxRecord> | undefined
type Listener = (id: string, record: BoxRecord | undefined) => void

/** The records of all boxes: changed one after another for each box, and every change told. */
export interface Boxes {
  get(id: string): Promise<BoxRecord | undefined>
  /** The box that a caller means by a name or id, if it is his. The administrator has all. Throws `box_not_found`. */
  find(ref: string, caller?: Owner): Promise<BoxRecord>
  list(filter?: BoxFilter): Promise<BoxRecord[]>
  /** Throws `name_in_use`. */
  insert(record: BoxRecord): Promise<void>
  /**
   * Writes what `change` returns over the newest record; nothing when it returns undefined. Answers the record as it is then, or
   * undefined when it is gone. `note` goes into the events.
   */
  update(id: string, change: Change, note?: Readonly<Record<string, unknown>>): Promise<BoxRecord | undefined>
  remove(record: BoxRecord): Promise<void>
  /** Called after each change with the newest record, and with undefined when it was removed. */
  onChange(listener: Listener): () => void
  /** Tells the listeners again, for what is not in the record. */
  touch(id: string): Promise<void>
}

export function createBoxes(store: Store, events: EventLog): Boxes {
  const queue = createKeyedQueue()
  const listeners = new Set<Listener>()
  const tell: Listener = (id, record) => {
    for (const listener of [...listeners]) listener(id, record)
  }

  return {
    get: (id) => store.getBox(id),
    async find(ref, caller = null) {
      const record = await boxMeantBy(ref, caller, store)
      if (record) return record
      throw new GibilError('box_not_found', `There is no box "${ref.slice(0, 80)}".`, {
        details: { box: ref.slice(0, 80) },
      })
    },
    list: (filter) => store.listBoxes(filter),
    async insert(record) {
      await store.insertBox(record)
      await events.append('box.created', record, { shape: record.shape, image: record.image, fleet: record.fleet })
      tell(record.id, record)
    },
    update: (id, change, note) =>
      queue.run(id, async () => {
        const before = await store.getBox(id)
        const patch = before && change(before)
        if (!before || !patch) return before
        const after: BoxRecord = { ...before, ...patch }
        if (!(await store.saveBox(after))) return undefined
        for (const { type, data } of transitions(before, after, note)) await events.append(type, after, data)
        tell(id, after)
        return after
      }),
    remove: (record) =>
      queue.run(record.id, async () => {
        await store.removeBox(record.id)
        await events.append('box.destroyed', record, record.failure ? { failure: record.failure } : {})
        tell(record.id, undefined)
      }),
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    touch: (id) => queue.run(id, async () => tell(id, await store.getBox(id))),
  }
}
