import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { onHost } from '@gibil/host'
import type { Context } from './context.ts'
import { boxPaths, type Machine } from './names.ts'

type ClearStep = 'kill' | 'cgroup' | 'relay' | 'run-dir'

/** Takes a machine away that is no box's, whatever is left of it. */
export async function clearMachine(context: Context, { id, paths }: Machine): Promise<void> {
  await context.cgroups.kill(id)
  await context.cgroups.remove(id)
  context.consoles.forget(id)
  await context.hostkit.relayClose({ socket: paths.control })
  await rm(paths.run, { recursive: true, force: true })
}

/**
 * Takes away all of a box that does not outlive the host's uptime. Works from any remainder; each part that is gone already is fine. The machine's
 * links and its network namespace end with its process.
 */
export async function clear(
  context: Context,
  id: string,
  step: (name: ClearStep) => void | Promise<void> = () => undefined,
): Promise<void> {
  const { cgroups, hostkit, names } = context
  const paths = boxPaths(names, id)
  await step('kill')
  await onHost("ended the box's machine", () => cgroups.kill(id))
  await step('cgroup')
  await onHost("removed the box's cgroups", () => cgroups.remove(id))
  await step('relay')
  await onHost('closed the way to boxd', () => hostkit.relayClose({ socket: paths.control }))
  await step('run-dir')
  await onHost("removed the box's run directory", async () => {
    if (existsSync(paths.tree)) await hostkit.unmount({ target: paths.tree })
    await rm(paths.run, { recursive: true, force: true })
  })
}
