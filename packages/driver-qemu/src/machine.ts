import { readFile } from 'node:fs/promises'
import type { Size } from '@gibil/contract'
import { GibilError } from '@gibil/contract'
import { addressOf, gatewayOf, hostPath, lastLine, linkName, readPid } from '@gibil/host'
import type { Context } from './context.ts'
import type { Machine } from './names.ts'
import { type Monitor, openMonitor } from './qmp.ts'
import { giveMemory } from './region.ts'
import type { SavedMachine } from './saved.ts'

/** How long the start of the process may take on a busy host; its guest boots after that. */
const startMs = 60_000

export interface MachineStart {
  readonly machine: Machine
  readonly size: Size
  readonly argv: readonly string[]
  /** Without it the machine's own link leads nowhere. */
  readonly link: { readonly policy: 'internet' | 'lan'; readonly slot: number } | undefined
  /** What its memory begins as, and the state to be loaded; without it the machine is new. */
  readonly from?: SavedMachine | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Starts QEMU in the box's cgroups and a network namespace of its own, waits until its monitor answers, and gives it its memory. The guest does not
 * run yet.
 */
export async function startMachine(context: Context, start: MachineStart): Promise<{ pid: number; monitor: Monitor }> {
  const { hostkit, names, network } = context
  const { id, paths } = start.machine
  const { link } = start
  const cgroups = await context.machineCgroups.make(id, start.size)
  const spec = {
    argv: start.argv,
    cgroups,
    mtu: network.mtu,
    // For reading: no machine, whatever its guest has made of it, can change what others begin as.
    files: start.from ? [start.from.state, start.from.memory] : [],
    ...(link === undefined
      ? {}
      : {
          link: {
            name: linkName(names, link.policy, link.slot),
            guestAddress: addressOf(network.subnet, link.slot),
            gateway: gatewayOf(network.subnet),
          },
        }),
  }
  const { exitCode, stderr } = await hostkit.runStart(
    {
      argv: [context.hostkitBinary, 'launch', JSON.stringify(spec), paths.pidFile],
      env: { PATH: hostPath },
      cwd: '/',
      log: paths.log,
      socket: paths.monitor,
      timeoutMs: startMs,
    },
    { signal: start.signal },
  )
  const pid = await readPid(paths.pidFile)
  if (exitCode !== 0 || pid === undefined) {
    throw new GibilError('driver_failed', `The machine of box ${id} could not be started: ${lastLine(stderr)}`, {
      details: { exitCode, stderr },
    })
  }
  const monitor = await openMonitor(paths.monitor, startMs).catch(async (cause: unknown) => {
    const said = await readFile(paths.log, 'utf8').catch(() => '')
    throw new GibilError('driver_failed', `QEMU could not start box ${id}: ${lastLine(said)}`, {
      cause,
      details: { stderr: said.slice(-4096) },
    })
  })
  try {
    await giveMemory(hostkit, pid, paths, start.from !== undefined)
  } catch (error) {
    monitor.close()
    throw error
  }
  return { pid, monitor }
}

/** What the guest has printed of late: what its kernel, or boxd before it serves, complained of. */
export async function readConsole(monitor: Monitor): Promise<string> {
  const text = await monitor.run('ringbuf-read', { device: 'console', size: 65_536 }).catch(() => '')
  return typeof text === 'string' ? text.slice(-4096) : ''
}
