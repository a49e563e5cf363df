import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBoxdClient, type Identity } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { DriverSpec } from '@gibil/core'
import { addressOf, dialSocket, etcFiles, gatewayOf, isUp, macOf, readPid } from '@gibil/host'
import { awaitBootProgram } from './boot-program.ts'
import type { Context } from './context.ts'
import type { Machine } from './names.ts'

const pauseMs = 20
const answerMs = 10_000

/** A byte stream to boxd. hostkit may have been started anew since the relay was opened, so it is opened where nobody listens. */
export async function dialBoxd(context: Context, machine: Machine, signal?: AbortSignal): Promise<Duplex> {
  const { id, paths } = machine
  try {
    return await dialSocket(paths.control, id, signal)
  } catch (error) {
    signal?.throwIfAborted()
    const pid = await readPid(paths.pidFile)
    if (pid === undefined || !(await context.cgroups.holds(id, pid))) throw error
    await openRelay(context, machine, pid)
    return dialSocket(paths.control, id, signal)
  }
}

async function openRelay(context: Context, { id, paths }: Machine, pid: number): Promise<void> {
  try {
    await context.hostkit.relayOpen({ socket: paths.control, pid })
  } catch (cause) {
    throw new GibilError('boxd_unreachable', `The boxd of box ${id} cannot be reached: its machine has ended.`, {
      cause,
    })
  }
}

/** Gives the machine its identity as soon as its boxd answers, and waits for what its image starts at boot. Throws `driver_failed` when it ends before, or takes too long. */
export async function identify(
  context: Context,
  machine: Machine,
  pid: number,
  identity: Identity,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { bootMs } = context.model
  const deadline = performance.now() + bootMs
  const { id } = machine
  await openRelay(context, machine, pid)
  const boxd = createBoxdClient((ended) => dialBoxd(context, machine, ended), { signal, answerMs })
  for (;;) {
    try {
      const { bootJob } = await boxd.identify(identity)
      if (bootJob !== null) await awaitBootProgram(context, id, boxd, bootJob)
      return
    } catch (error) {
      signal?.throwIfAborted()
      if (!GibilError.is(error) || (error.code !== 'boxd_unreachable' && error.code !== 'boxd_protocol')) throw error
      if (!(await isUp(pid))) throw new GibilError('driver_failed', `The machine of box ${id} ended while it booted.`)
      if (performance.now() > deadline) {
        throw new GibilError('driver_failed', `The machine of box ${id} did not boot within ${bootMs / 1000} s.`, {
          cause: error,
        })
      }
    }
    await sleep(pauseMs)
  }
}

/** What makes a machine this box. `etc` is left out where the box has had its files and may have changed them. */
export function identityOf(context: Context, spec: DriverSpec, slot: number, etc: boolean): Identity {
  const { names, network } = context
  const gateway = gatewayOf(network.subnet)
  const address = spec.network === 'none' ? null : addressOf(network.subnet, slot)
  return {
    ...freshness(),
    hostname: spec.hostname,
    ...(etc ? { etc: etcFiles({ id: spec.id, hostname: spec.hostname, address, gateway }) } : {}),
    network: address === null ? null : { address, gateway, mac: macOf(names.prefix.slice(-6), slot), mtu: network.mtu },
  }
}

/** What a machine lacks whose time stood still: the time, and random numbers of its own. */
export const freshness = (): Identity => ({
  time: new Date().toISOString(),
  entropy: randomBytes(64).toString('base64'),
})
