import { GibilError, type Provider, type Shape, Size, type SizePreset, sizePresets } from '@gibil/contract'
import type * as z from 'zod'

export interface SizeWish {
  readonly size?: z.infer<typeof SizePreset> | undefined
  readonly cpu?: number | undefined
  readonly memoryMib?: number | undefined
  readonly diskMib?: number | undefined
}

export interface HostSize {
  readonly cpus: number
  readonly memoryMib: number
  readonly freeDiskMib: () => Promise<number>
  /** What new programs can have without anything being swapped out. */
  readonly freeMemoryMib: () => Promise<number>
}

/** A preset (small when none is named) with what is named beside it put over it. Throws `invalid_size`. */
export function chooseSize(wish: SizeWish): Size {
  const preset = sizePresets[wish.size ?? 'small']
  const size = Size.safeParse({
    cpu: wish.cpu ?? preset.cpu,
    memoryMib: wish.memoryMib ?? preset.memoryMib,
    diskMib: wish.diskMib ?? preset.diskMib,
  })
  if (size.success) return size.data
  const issue = size.error.issues[0]
  throw new GibilError('invalid_size', `The size is not possible: ${issue?.path.join('.')}: ${issue?.message}.`)
}

/** For a container the size is a limit, so any is fine; a vm of this machine needs what it names. Throws `size_beyond_host`. */
export async function checkFits(
  size: Size,
  where: { shape: Shape; provider: Provider },
  host: HostSize,
): Promise<void> {
  if (where.shape === 'container' || where.provider !== 'local') return
  const beyond = (what: string, asked: string, there: string): never => {
    throw new GibilError(
      'size_beyond_host',
      `A ${where.shape} with ${asked} of ${what} does not fit: this machine has ${there}.`,
    )
  }
  if (size.cpu > host.cpus) beyond('CPU', String(size.cpu), String(host.cpus))
  if (size.memoryMib > host.memoryMib) beyond('memory', `${size.memoryMib} MiB`, `${host.memoryMib} MiB`)
  const free = await host.freeDiskMib()
  if (size.diskMib > free) beyond('disk', `${size.diskMib} MiB`, `${free} MiB free`)
}
