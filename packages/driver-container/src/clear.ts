import { existsSync } from 'node:fs'
import { readlink, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, isUp, linkName, onHost, readPid } from '@gibil/host'
import { allSettled } from './all-settled.ts'
import { type BoxFile, routedPolicy } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import type { Context } from './context.ts'
import { endStrayRuntimes } from './stray-runtimes.ts'
import { unmountVolumes } from './volumes.ts'

type ClearStep = 'kill' | 'cgroup' | 'unmount' | 'net' | 'run-dir'

export interface ClearOptions {
  readonly step?: (name: ClearStep) => void | Promise<void>
  /** The disk will be deleted: what is not yet written to it need not be. */
  readonly forGood?: boolean
}

/**
 * Takes away all of a box that does not outlive the host's uptime: processes, runtime state, cgroups, mounts, network, run directory.
 * Works from any remainder, with no help of the runtime; each part that is gone already is fine. `box` is undefined when its file is
 * missing or damaged.
 */
export async function clear(
  context: Context,
  id: string,
  box: BoxFile | undefined,
  options: ClearOptions = {},
): Promise<void> {
  const step = options.step ?? (() => undefined)
  const { cgroups, hostkit, names } = context
  const paths = boxPaths(names, id)

  await step('kill')
  await onHost("ended the box's processes", async () => {
    const pid = await readPid(paths.pidFile)
    const started = pid !== undefined && (await cgroups.holds(id, pid)) && (await isUp(pid))
    // A runtime that still starts the box has been given its run directory.
    if (!started && existsSync(paths.run)) await endStrayRuntimes(names.runtimeRoot, paths.gvisorRoot, id)
    await cgroups.kill(id)
  })

  // They go when the last process is really gone, and with it the box's own mounts, which would keep the disk in use.
  await step('cgroup')
  await onHost("removed the box's cgroups", async () => {
    await cgroups.remove(id)
    await rm(join(names.runtimeRoot, id), { recursive: true, force: true })
  })

  const unmount = async (): Promise<void> => {
    await step('unmount')
    if (options.forGood) await onHost("let go of the box's disk", () => hostkit.diskAbandon({ target: paths.disk }))
    // The root file system lies over the disk, so it goes first.
    await onHost("unmounted the box's root file system", () =>
      hostkit.unmount({ target: paths.rootfs, recursive: true }),
    )
    await unmountVolumes(context, id)
    await onHost("unmounted the box's disk", () => hostkit.unmount({ target: paths.disk, recursive: true }))
  }
  const removeNetwork = async (): Promise<void> => {
    await step('net')
    await onHost("removed the box's network", async () => {
      const host = await linkOf(context, id, box)
      await hostkit.netDestroy({ netns: paths.netns, ...(host === undefined ? {} : { host }) })
    })
  }
  // Neither needs the other.
  await allSettled([unmount(), removeNetwork()])

  await step('run-dir')
  await onHost("removed the box's run directory", async () => {
    // These two are removed as empty directories: were something still mounted there, this would fail and not empty it.
    await removeEmpty(paths.rootfs)
    await removeEmpty(paths.disk)
    await rm(paths.run, { recursive: true, force: true })
  })
}

async function linkOf(context: Context, id: string, box: BoxFile | undefined): Promise<string | undefined> {
  if (box === undefined) return readlink(boxPaths(context.names, id).link).catch(() => undefined)
  const policy = routedPolicy(box.spec.network)
  return policy === undefined ? undefined : linkName(context.names, policy, box.slot)
}

async function removeEmpty(path: string): Promise<void> {
  try {
    await rmdir(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
