import type { DriverBox } from '@gibil/core'
import { isBoxId, isUp, namesIn, readPid } from '@gibil/host'
import { readBoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import type { Context } from './context.ts'
import { addressOfBox } from './forge.ts'

/** Every id that anything on the host carries in this home: directories, runtime state, cgroups, mounts, network namespaces. */
export async function allIds(context: Context): Promise<string[]> {
  const { names, cgroups, hostkit } = context
  const runBoxes = `${names.runDir}/boxes`
  const netnsPrefix = `${names.prefix}-`
  const [kept, run, runtime, groups, made] = await Promise.all([
    namesIn(names.boxesDir),
    namesIn(runBoxes),
    namesIn(names.runtimeRoot),
    cgroups.ids(),
    hostkit.sweepList({ mountPrefix: `${runBoxes}/`, linkPrefix: names.linkPrefix, netnsPrefix }),
  ])
  const mounted = made.mounts.map((mount) => mount.slice(runBoxes.length + 1).split('/')[0] ?? '')
  const spaces = made.netns.map((name) => name.slice(netnsPrefix.length))
  return [...new Set([...kept, ...run, ...runtime, ...groups, ...mounted, ...spaces])].filter(isBoxId).sort()
}

/** How a box is; `partial` also when nothing of it is there, so ask `allIds` first where that matters. */
export async function inspectBox(context: Context, id: string): Promise<DriverBox> {
  const { names, cgroups } = context
  const paths = boxPaths(names, id)
  const [read, pid] = await Promise.all([readBoxFile(paths), readPid(paths.pidFile)])
  if (read.kind !== 'box' || read.box.spec.id !== id) return { id, status: 'partial', address: null }
  const address = addressOfBox(context, read.box)
  // Whatever of it runs already: its create did not come to its end, so nobody has been given it.
  if (read.box.phase === 'creating') return { id, status: 'partial', address }
  if (pid !== undefined && (await cgroups.holds(id, pid)) && (await isUp(pid))) {
    return { id, status: (await cgroups.isFrozen(id)) ? 'paused' : 'running', address }
  }
  // A clean stop takes the pid file away, so one that is left tells that the box ended without being asked to.
  if (pid === undefined) return { id, status: 'stopped', address }
  return { id, status: 'stopped', address, reason: (await cgroups.oomKills(id)) > 0 ? 'out of memory' : 'killed' }
}
