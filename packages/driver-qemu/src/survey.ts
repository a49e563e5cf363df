import type { DriverBox } from '@gibil/core'
import { addressOf, isBoxId, isUp, namesIn, readIfThere, readPid } from '@gibil/host'
import { type BoxFile, readBoxFile } from './box-file.ts'
import type { Context } from './context.ts'
import { endingOf } from './ending.ts'
import { boxPaths, runBoxesDir } from './names.ts'

/** Every id that anything on the host carries in this driver's corner of the home. Links and namespaces end with their process. */
export async function allIds(context: Context): Promise<string[]> {
  const { names, cgroups } = context
  const [kept, run, groups] = await Promise.all([namesIn(names.boxesDir), namesIn(runBoxesDir(names)), cgroups.ids()])
  return [...new Set([...kept, ...run, ...groups])].filter(isBoxId).sort()
}

/** How a box is; `partial` also when nothing of it is there, so ask `allIds` first where that matters. */
export async function inspectBox(context: Context, id: string): Promise<DriverBox> {
  const read = await readBoxFile(boxPaths(context.names, id))
  if (read.kind !== 'box' || read.box.spec.id !== id) return { id, status: 'partial', address: null }
  const address = addressOfBox(context, read.box)
  // Whatever of it runs already: its create did not come to its end, so nobody has been given it.
  if (read.box.phase === 'creating') return { id, status: 'partial', address }
  // Whatever still runs is about to be ended.
  if (read.box.paused !== undefined) return { id, status: 'paused', address }
  if ((await runningPid(context, id)) !== undefined) return { id, status: 'running', address }
  // A clean stop takes the pid file away, so one that is left tells that the box ended without being asked to.
  if ((await readPid(boxPaths(context.names, id).pidFile)) === undefined) return { id, status: 'stopped', address }
  const console = context.consoles.text(id)
  const [oomKills, log = ''] = await Promise.all([
    context.cgroups.oomKills(id),
    readIfThere(boxPaths(context.names, id).log),
  ])
  return {
    id,
    status: 'stopped',
    address,
    ...(oomKills > 0 ? { reason: 'out of memory' } : endingOf(log, console, context.model)),
    ...(console === '' ? {} : { console: console.slice(-4096) }),
  }
}

/** The process that is the box's machine, if it lives. */
export async function runningPid(context: Context, id: string): Promise<number | undefined> {
  const pid = await readPid(boxPaths(context.names, id).pidFile)
  return pid !== undefined && (await context.cgroups.holds(id, pid)) && (await isUp(pid)) ? pid : undefined
}

export function addressOfBox(context: Context, box: BoxFile): string | null {
  return box.spec.network === 'none' ? null : addressOf(context.network.subnet, box.slot)
}
