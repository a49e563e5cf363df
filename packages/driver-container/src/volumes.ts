import { existsSync } from 'node:fs'
import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { errnoOf, onHost, volumeDisk } from '@gibil/host'
import type { BoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import type { Context } from './context.ts'
import { idsPerBox } from './oci-spec.ts'

/**
 * A volume is a disk that the host mounts once more for each box that has it, each time with the ids of that box: one file system, under the ids
 * 0 to 65535 that every box has inside. The kernel counts its mounts, and the last one takes the loop device along.
 */

interface Bound {
  readonly id: string
  /** Where on the host, and where in the box. */
  readonly source: string
  readonly path: string
}

/** By number: one volume may be at two places in a box. */
export const volumesOf = ({ names }: Pick<Context, 'names'>, { spec }: BoxFile): readonly Bound[] => {
  const { volumes } = boxPaths(names, spec.id)
  return (spec.volumes ?? []).map(({ id, path }, index) => ({ id, path, source: join(volumes, `${index}`) }))
}

/** Throws `volume_not_found`. */
export async function mountVolumes(context: Context, box: BoxFile): Promise<void> {
  for (const { id, source } of volumesOf(context, box)) {
    const image = volumeDisk(context.names, id)
    if (!existsSync(image)) throw new GibilError('volume_not_found', `The volume ${id}, which the box has, is gone.`)
    const idmap = { from: 0, base: box.uidBase, count: idsPerBox }
    await context.hostkit.diskMount({ image, target: source, idmap })
  }
}

/** Of whatever is there. Directories go as empty ones: were a volume still mounted, this would fail and not empty it. */
export async function unmountVolumes({ hostkit, names }: Context, id: string): Promise<void> {
  const { volumes } = boxPaths(names, id)
  await onHost("unmounted the box's volumes", async () => {
    const there = await readdir(volumes).catch((error) => {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    })
    if (there === undefined) return
    await hostkit.unmount({ target: volumes, recursive: true })
    for (const name of there) await rmdir(join(volumes, name))
    await rmdir(volumes)
  })
}
