import type { Size } from '@gibil/contract'
import { GibilError } from '@gibil/contract'
import { addressOf, gatewayOf, hostPath, isUp, lastLine, linkName, readIfThere, readPid } from '@gibil/host'
import { lastWords } from './console.ts'
import type { Context } from './context.ts'
import { complaintsOf } from './ending.ts'
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
  let monitor: Monitor | undefined
  try {
    monitor = await openMonitor(paths.monitor, { greetingMs: startMs, signal: start.signal })
    context.consoles.listen(id, paths.console)
    await giveMemory(hostkit, pid, paths, start.from !== undefined)
    return { pid, monitor }
  } catch (cause) {
    monitor?.close()
    start.signal?.throwIfAborted()
    throw await whyItFailed(context, start.machine, pid, 'could not start', cause)
  }
}

/**
 * All that can be known of a machine that did not come up: QEMU's words, its kernel's, and whether it lives. How it exited is not among that: it is nobody's
 * child. So an end without a word was a signal, and by the kernel for want of memory where `oomKills` says so.
 */
export async function whyItFailed(
  context: Context,
  { id, paths }: Machine,
  pid: number,
  what: string,
  cause: unknown,
): Promise<GibilError> {
  const [said = '', oomKills, lives] = await Promise.all([
    readIfThere(paths.log),
    context.cgroups.oomKills(id),
    isUp(pid),
  ])
  if (!lives) await context.consoles.drained(id)
  const console = context.consoles.text(id)
  const why =
    oomKills > 0
      ? 'it was out of memory'
      : (lastWords(console) ??
        (lastLine(complaintsOf(said)) || (lives ? 'it runs, but does not answer' : 'it was killed without a word')))
  return new GibilError('driver_failed', `The machine of box ${id} ${what}: ${why}.`, {
    cause,
    details: { stderr: said.slice(-4096), console: console.slice(-4096), oomKills, lives },
  })
}
