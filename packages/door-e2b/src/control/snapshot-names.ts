import { GibilError, type Snapshot } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'

/**
 * What a snapshot is called on the wire: its id, or what its maker called it, with the one tag that there is. Ours are DNS labels, so that
 * a name which is none cannot be given.
 */
export const snapshotIdOf = ({ id }: Pick<Snapshot, 'id'>): string => `${id}:default`
export const namesOf = ({ name }: Pick<Snapshot, 'name'>): string[] => [`${name}:default`]

/** The snapshot that is called so; undefined: none is. */
export async function snapshotNamed(plane: BoxPlane, called: string): Promise<Snapshot | undefined> {
  const name = called.replace(/:default$/, '')
  try {
    return await plane.getSnapshot(name)
  } catch (error) {
    if (GibilError.is(error) && (error.code === 'snapshot_not_found' || error.code === 'invalid_name')) return undefined
    throw error
  }
}
