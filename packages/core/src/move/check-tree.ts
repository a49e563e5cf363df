import { formatBytes, GibilError } from '@gibil/contract'
import type { Making } from '../box-record.ts'
import type { TreeSurvey } from '../ports/boxd.ts'

/** Ids that a container has: those above are nobody's there (packages/driver-container). */
const idsOfContainer = 65_536
const mib = 1024 ** 2

/** Whether a tree can be that of such a box. `after`: a sentence for the hint. Throws `invalid_size`, `unsupported_by_shape`. */
export function checkTree(
  { bytes, maxId, maxIdPath }: Omit<TreeSurvey, 'entries'>,
  to: Pick<Making, 'shape' | 'size'>,
  { name }: { readonly name: string },
  after: string,
): void {
  // What an ext4 takes beside files: as packages/driver-qemu counts it.
  const needed = Math.ceil((bytes / mib) * 1.2) + 96
  if (needed > to.size.diskMib) {
    const [has, disk] = [formatBytes(bytes), formatBytes(to.size.diskMib * mib)]
    throw new GibilError('invalid_size', `The box "${name}" holds ${has}, too much for a disk of ${disk}.`, {
      hint: `Give it a larger one: --disk ${Math.ceil(needed / 1024)}G. ${after}`,
    })
  }
  if (to.shape === 'container' && maxId >= idsOfContainer) {
    throw new GibilError(
      'unsupported_by_shape',
      `${maxIdPath.slice(0, 200)} belongs to the id ${maxId}, and a container has none above ${idsOfContainer - 1}.`,
      { hint: `Give such files to others (chown), or let the box be a microvm or a vm. ${after}` },
    )
  }
}
