import { GibilError } from '@gibil/contract'

/** Boxes that one home can have at once: the addresses of a /22 without network, gateway and one spare. */
export const slotCount = 1022
const idsPerBox = 65_536
const firstUid = 0x7000_0000
/** Blocks of 1024 boxes' user ids that fit below 2^31 from `firstUid` on; homes on one host take different ones while they can. */
export const uidBlocks = 4

/** The host's user id that is root in the box with this slot; the 65 536 from there on are the box's. */
export function uidBaseOf(block: number, slot: number): number {
  return firstUid + block * 1024 * idsPerBox + slot * idsPerBox
}

export interface Slots {
  /** The lowest free slot that `usable` accepts. Throws `limit_reached`. */
  take(usable: (slot: number) => boolean): number
  /** Notes a slot that a box already has. */
  hold(slot: number): void
  free(slot: number): void
  has(slot: number): boolean
}

export function createSlots(): Slots {
  const held = new Set<number>()
  return {
    take(usable) {
      for (let slot = 0; slot < slotCount; slot += 1) {
        if (held.has(slot) || !usable(slot)) continue
        held.add(slot)
        return slot
      }
      throw new GibilError(
        'limit_reached',
        `This daemon has ${slotCount} container boxes, which is as many as it can have.`,
      )
    },
    hold: (slot) => void held.add(slot),
    free: (slot) => void held.delete(slot),
    has: (slot) => held.has(slot),
  }
}
