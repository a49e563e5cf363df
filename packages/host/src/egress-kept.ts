import type { Egress } from '@gibil/contract'
import { namesIn } from './files.ts'
import type { HomeNames } from './names.ts'

/** What a driver keeps of a box, as far as its network needs it. */
interface Kept {
  readonly slot: number
  readonly spec: { readonly egress?: Egress | undefined }
}

/** What the boxes that a home keeps may connect to, by their slots. `read`: undefined where nothing that is whole is kept of a box. */
export async function egressKept(
  { boxesDir }: HomeNames,
  read: (id: string) => Promise<Kept | undefined>,
): Promise<ReadonlyMap<number, Egress>> {
  const kept = new Map<number, Egress>()
  for (const id of await namesIn(boxesDir)) {
    const box = await read(id)
    if (box?.spec.egress) kept.set(box.slot, box.spec.egress)
  }
  return kept
}
