import { createBoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { DriverBox, DriverOptions, DriverSpec } from '@gibil/core'
import { addressOf, canBecome, type ExitWatch, linkName, onHost, throwIfAborted } from '@gibil/host'
import { assertSpec, type BoxFile, readBoxFile, writeBoxFile } from './box-file.ts'
import { phase } from './bring-up.ts'
import type { Context } from './context.ts'
import { dialBoxd, identityOf } from './control.ts'
import { boxMachine, boxPaths } from './names.ts'
import { addressOfBox } from './survey.ts'

/** A spare has answered before, so it answers soon or not at all. */
const answerMs = 5000

/**
 * Gives a box that nobody has used its names, time, random numbers and network. The box file is written last: until then it says that the box is
 * another's, so that a create which comes after a crash makes it anew.
 */
export async function adapt(
  context: Context,
  watch: Pick<ExitWatch, 'pidOf'>,
  spec: DriverSpec,
  options: DriverOptions,
): Promise<DriverBox> {
  const paths = boxPaths(context.names, spec.id)
  assertSpec(context.model, spec)
  throwIfAborted(options.signal)
  const read = await readBoxFile(paths)
  const pid = watch.pidOf(spec.id)
  if (pid === undefined || read.kind !== 'box' || !canBecome(read.box.spec, spec)) throw cannotBecome(spec.id)
  const before = read.box
  if (before.spec.network === 'none' && spec.network !== 'none') throw cannotBecome(spec.id)
  const box: BoxFile = { ...before, spec }

  await context.step('adapt.begin')
  await phase(options, 'identity', 'gave the box its names', async () => {
    const dial = (signal?: AbortSignal) => dialBoxd(context, boxMachine(context.names, spec.id), signal)
    const boxd = createBoxdClient(dial, { signal: options.signal, answerMs })
    await Promise.all([
      boxd.identify(identityOf(context, spec, box.slot, true)),
      changeLink(context, before, spec, pid),
    ])
  })
  await context.step('adapt.box-file')
  await onHost('noted the box', () => writeBoxFile(paths, box))
  await context.step('adapt.end')
  throwIfAborted(options.signal)
  return { id: spec.id, status: 'running', address: addressOfBox(context, box) }
}

/** The name of a link carries what the box may reach. */
async function changeLink(
  context: Context,
  { spec: was, slot }: BoxFile,
  spec: DriverSpec,
  pid: number,
): Promise<void> {
  const { hostkit, names, network } = context
  await network.setEgress(slot, spec.egress)
  const [from, to] = [was.network, spec.network]
  if (from === to || from === 'none') return
  const host = linkName(names, from, slot)
  if (to === 'none') await hostkit.netWithdraw({ host, pid })
  else {
    const guestAddress = addressOf(network.subnet, slot)
    await hostkit.netRename({ from: host, to: linkName(names, to, slot), guestAddress })
  }
}

const cannotBecome = (id: string): GibilError =>
  new GibilError('driver_failed', `Box ${id} cannot become the one that was asked for.`)
