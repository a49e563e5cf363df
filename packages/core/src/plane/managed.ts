import { formatBytes, type Provider, type Size } from '@gibil/contract'
import type { SizeWish } from '../box/sizes.ts'
import type { Wanted } from '../box/wanted.ts'
import { candidates } from '../choose/candidates.ts'
import { sizeFor, workstationSize } from '../choose/size.ts'
import type { GibilConfig } from '../gibil-yml/config.ts'
import type { Context } from './context.ts'

/** What the preset `managed` stands for; an image or a size that is named beside it takes the place of its own. */
export async function managed(
  { deps: { host }, policy }: Pick<Context, 'deps' | 'policy'>,
  provider: Provider,
  named: SizeWish & { readonly image?: string | undefined },
): Promise<Wanted> {
  const { image = policy.workstationImage, size, cpu, memoryMib, diskMib } = named
  const { cpus, memoryMib: memory } = host
  const room = { cpus, memoryMib: memory, freeDiskMib: await host.freeDiskMib() }
  const vm = candidates.find((one) => one.shape === 'vm' && one.provider === provider)
  const asked = { workstation: true, size, cpu, memoryMib, diskMib }
  const given = vm ? sizeFor(asked, vm, room) : workstationSize
  return {
    shape: 'vm',
    image,
    size: given,
    chosenBecause: [`managed is a vm of the image ${image}`, ...less(given, named)],
  }
}

/** The same where a `.gibil.yml` says it; undefined where it says another shape, or none. */
export async function managedBy(
  context: Pick<Context, 'deps' | 'policy'>,
  provider: Provider,
  { shape, image, size, cpu, memoryMib, diskMib }: GibilConfig,
): Promise<Wanted | undefined> {
  if (shape !== 'managed') return undefined
  const named = { image, size, cpu, memoryMib, diskMib }
  return managed(context, provider, Object.fromEntries(Object.entries(named).filter(([, value]) => value !== null)))
}

/** Where this machine has less than the preset asks for. */
function less(size: Size, named: SizeWish): string[] {
  const isNamed = [named.size, named.cpu, named.memoryMib, named.diskMib].some((one) => one !== undefined)
  const { cpu, memoryMib, diskMib } = workstationSize
  if (isNamed || (size.cpu === cpu && size.memoryMib === memoryMib && size.diskMib === diskMib)) return []
  return [
    `it has ${size.cpu} vCPU, ${gib(size.memoryMib)} and ${gib(size.diskMib)} of disk, since the usual ${cpu} vCPU, ${gib(memoryMib)} and ${gib(diskMib)} are more than this machine has`,
  ]
}

const gib = (mib: number): string => formatBytes(mib * 1024 * 1024)
