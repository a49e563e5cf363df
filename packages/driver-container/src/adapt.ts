import { GibilError } from '@gibil/contract'
import type { DriverBox, DriverOptions, DriverSpec } from '@gibil/core'
import {
  addressOf,
  canBecome,
  type ExitWatch,
  etcFiles,
  gatewayOf,
  inEtc,
  linkName,
  onHost,
  throwIfAborted,
} from '@gibil/host'
import { assertSpec, type BoxFile, readBoxFile, routedPolicy, writeBoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import type { Context } from './context.ts'
import { addressOfBox } from './forge.ts'

/**
 * Gives a box that nobody has used, but whose image has run a program in it, another host name, network policy and egress. The box file is written last: until then it says that the box is
 * another's, so that a create which comes after a crash makes it anew.
 */
export async function adapt(
  context: Context,
  watch: Pick<ExitWatch, 'pidOf'>,
  spec: DriverSpec,
  options: DriverOptions,
): Promise<DriverBox> {
  const { hostkit, names, network } = context
  const paths = boxPaths(names, spec.id)
  assertSpec(spec)
  throwIfAborted(options.signal)
  const read = await readBoxFile(paths)
  const pid = watch.pidOf(spec.id)
  if (pid === undefined || read.kind !== 'box' || !canBecome(read.box.spec, spec)) {
    throw new GibilError('driver_failed', `Box ${spec.id} cannot become the one that was asked for.`)
  }
  const before = read.box
  const box: BoxFile = { ...before, spec }
  const address = addressOfBox(context, box)

  await context.step('adapt.begin')
  await onHost('gave the box its names', async () => {
    const files = etcFiles({ id: spec.id, hostname: spec.hostname, address, gateway: gatewayOf(network.subnet) })
    await Promise.all([
      hostkit.procHostname({ pid, hostname: spec.hostname, root: paths.rootfs, files: inEtc(files) }),
      changeNetwork(before),
    ])
  })
  await context.step('adapt.box-file')
  await onHost('noted the box', () => writeBoxFile(paths, { ...box, address }, { durable: false }))
  await context.step('adapt.end')
  throwIfAborted(options.signal)
  return { id: spec.id, status: 'running', address }

  async function changeNetwork({ spec: was, slot }: BoxFile): Promise<void> {
    await network.setEgress(slot, spec.egress)
    const [from, to] = [routedPolicy(was.network), routedPolicy(spec.network)]
    if (from === to) return
    if (from === undefined) throw new GibilError('driver_failed', 'A box without a network cannot be given one.')
    const host = linkName(names, from, slot)
    if (to === undefined) await hostkit.netDestroy({ host })
    else {
      const guestAddress = addressOf(network.subnet, slot)
      await hostkit.netRename({ from: host, to: linkName(names, to, slot), guestAddress })
    }
  }
}
