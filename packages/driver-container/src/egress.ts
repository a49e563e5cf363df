import { type Egress, GibilError } from '@gibil/contract'
import { egressKept, type HomeNames, onHost } from '@gibil/host'
import { readBoxFile, writeBoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import type { Context } from './context.ts'

/** What the boxes that are kept may connect to, by their slots. */
export const egressOfBoxes = (names: HomeNames): Promise<ReadonlyMap<number, Egress>> =>
  egressKept(names, async (id) => {
    const read = await readBoxFile(boxPaths(names, id))
    return read.kind === 'box' ? read.box : undefined
  })

/** The firewall first: what is denied is denied from then on, and the file says so to the next daemon. */
export async function setEgress(context: Context, id: string, egress: Egress): Promise<void> {
  const paths = boxPaths(context.names, id)
  const read = await readBoxFile(paths)
  if (read.kind !== 'box') throw new GibilError('box_not_found', `The host has no box ${id}.`)
  const { box } = read
  await onHost('changed what the box may connect to', async () => {
    await context.network.setEgress(box.slot, egress)
    await writeBoxFile(paths, { ...box, spec: { ...box.spec, egress } }, { durable: false })
  })
}
