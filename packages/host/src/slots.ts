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

/** Which box has which slot. */
export interface Slots {
  /** The lowest free slot that `usable` accepts, from now on the box's. Throws `limit_reached`. */
  take(id: string, usable: (slot: number) => boolean): number
  /** Notes the slot that a box already has. */
  hold(id: string, slot: number): void
  free(id: string): void
  has(slot: number): boolean
}

export function createSlots(): Slots {
  const bySlot = new Map<number, string>()
  const free = (id: string): void => {
    for (const [slot, owner] of bySlot) if (owner === id) bySlot.delete(slot)
  }
  return {
    take(id, usable) {
      for (let slot = 0; slot < slotCount; slot += 1) {
        if (bySlot.has(slot) || !usable(slot)) continue
        bySlot.set(slot, id)
        return slot
      }
      throw new GibilError(
        'limit_reached',
        `This daemon has ${slotCount} container boxes, which is as many as it can have.`,
      )
    },
    hold: (id, slot) => void bySlot.set(slot, id),
    free,
    has: (slot) => bySlot.has(slot),
  }
}
