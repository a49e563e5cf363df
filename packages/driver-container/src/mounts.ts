import { GibilError } from '@gibil/contract'
import type { DriverMount } from '@gibil/core'
import { readPid } from '@gibil/host'
import { type BoxFile, readBoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import type { Context } from './context.ts'
import { idsPerBox } from './oci-spec.ts'
import { readSnapshot, snapshotPaths } from './snapshot-file.ts'
import { inspectBox } from './survey.ts'

/**
 * A snapshot of a container is a disk that only the host's kernel has ever made and written, so the host may mount it. The box sees it over the layers
 * of its image, as it sees its own disk; the mounts are in the box's own table alone, and end with it.
 */

/** What the sources of such mounts are called in the box's table, before the id. */
const mark = 'gibil-snapshot:'

export async function mountSnapshot(
  context: Context,
  id: string,
  snapshotId: string,
  path: string,
): Promise<DriverMount> {
  const { pid, box } = await running(context, id)
  const wanted = { path, snapshotId }
  if ((await mountsOf(context, pid)).some((one) => one.path === path && one.snapshotId === snapshotId)) return wanted
  const snapshot = snapshotPaths(context.names, snapshotId)
  const saved = readSnapshot(snapshot)
  if (saved === undefined) throw new GibilError('snapshot_not_found', `The host keeps no snapshot ${snapshotId}.`)
  const { image } = box.spec
  if (saved.digest !== image.digest) {
    throw new GibilError('wrong_state', `The snapshot ${snapshotId} is of a box with another image.`, {
      hint: 'Mount it in a box of that image, or make a box of it: `gibil fork`.',
    })
  }
  const before = await mountsOf(context, pid)
  await atPlace(path, () =>
    context.hostkit.insideMount({
      pid,
      path,
      name: `${mark}${snapshotId}`,
      image: snapshot.diskImage,
      from: saved.uidBase,
      layers: image.layers,
      idmap: { base: box.uidBase, count: idsPerBox },
    }),
  )
  // A path with links in it is another one in the box's table.
  const after = await mountsOf(context, pid)
  return after.find((one) => !before.some((other) => other.path === one.path)) ?? wanted
}

export async function unmountSnapshot(context: Context, id: string, path: string): Promise<void> {
  const { pid } = await running(context, id)
  await atPlace(path, () => context.hostkit.insideUnmount({ pid, path, name: mark }))
}

export async function listMounts(context: Context, id: string): Promise<readonly DriverMount[]> {
  const { status } = await inspectBox(context, id)
  const pid = await readPid(boxPaths(context.names, id).pidFile)
  return (status === 'running' || status === 'paused') && pid !== undefined ? mountsOf(context, pid) : []
}

async function mountsOf({ hostkit }: Context, pid: number): Promise<readonly DriverMount[]> {
  const mounted = await hostkit.insideList({ pid, name: mark })
  return mounted.map(({ path, name }) => ({ path, snapshotId: name.slice(mark.length) }))
}

async function running(context: Context, id: string): Promise<{ pid: number; box: BoxFile }> {
  const paths = boxPaths(context.names, id)
  const [read, { status }, pid] = await Promise.all([
    readBoxFile(paths),
    inspectBox(context, id),
    readPid(paths.pidFile),
  ])
  if (read.kind !== 'box' || status !== 'running' || pid === undefined) {
    throw new GibilError('wrong_state', `Box ${id} does not run (it is ${status}).`)
  }
  if (read.box.spec.isolation === 'gvisor') {
    throw new GibilError('unsupported_by_shape', 'Snapshots cannot be mounted in a box in gVisor.', {
      hint: 'Use a box of the shape microvm, or one without --isolation gvisor.',
    })
  }
  return { pid, box: read.box }
}

/** What the host finds at a path of the box, in the words of a caller who chose that path. */
async function atPlace(path: string, task: () => Promise<void>): Promise<void> {
  const reasons: Readonly<Record<string, readonly ['file_conflict' | 'file_not_found' | 'invalid_path', string]>> = {
    EBUSY: ['file_conflict', 'is in use'],
    ENOTEMPTY: ['file_conflict', 'is not empty'],
    ENOTDIR: ['file_conflict', 'is no directory'],
    EEXIST: ['file_conflict', 'is a link that leads nowhere'],
    EROFS: ['file_conflict', 'is where nothing can be made'],
    ENOENT: ['file_not_found', 'is not where a snapshot is mounted'],
    ELOOP: ['invalid_path', 'leads through too many links'],
    ENAMETOOLONG: ['invalid_path', 'is too long'],
  }
  try {
    await task()
  } catch (cause) {
    const found = GibilError.is(cause) ? reasons[String(cause.details?.['errno'])] : undefined
    if (!found) throw cause
    throw new GibilError(found[0], `${path} ${found[1]}.`, { cause })
  }
}
