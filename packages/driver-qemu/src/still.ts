import { onHost } from '@gibil/host'
import type { BoxFile } from './box-file.ts'
import { machineUid } from './bring-up.ts'
import type { Context } from './context.ts'
import { notRunning } from './errors.ts'
import { boxPaths } from './names.ts'
import { type Monitor, withMonitor } from './qmp.ts'
import { machineKind, type SavedMachine, saveMachine } from './saved.ts'
import { runningPid } from './survey.ts'

/** Has the guest stand still for some work. It goes on when that fails. */
export async function whileStill<T>(
  context: Context,
  id: string,
  work: (monitor: Monitor, pid: number) => Promise<T>,
): Promise<T> {
  const pid = await runningPid(context, id)
  if (pid === undefined) throw notRunning(id, 'stopped')
  return withMonitor(boxPaths(context.names, id).monitor, async (monitor) => {
    await monitor.run('stop')
    try {
      return await work(monitor, pid)
    } catch (error) {
      // One whose machine has ended meanwhile cannot go on; its end is told by who watches it.
      await monitor.run('cont').catch(() => undefined)
      throw error
    }
  })
}

/** Writes down a box that stands still. */
export async function saveBox(
  context: Context,
  { spec, slot }: BoxFile,
  { monitor, pid }: { readonly monitor: Monitor; readonly pid: number },
  saved: SavedMachine,
): Promise<void> {
  const kind = await machineKind(await context.machinery(), spec.size)
  const paths = boxPaths(context.names, spec.id)
  const facts = { kind, uid: machineUid(context, slot) }
  await onHost('saved the machine', () => saveMachine(context, { paths, pid, monitor }, saved, facts))
}
