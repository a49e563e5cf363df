import { resolve, sep } from 'node:path'
import { GibilError } from '@gibil/contract'
import { mustRun, parseJson } from '@gibil/host'
import * as z from 'zod'
import type { Context } from './context.ts'
import { snapshotsDir } from './snapshot-file.ts'

/** One disk of a chain: each holds the difference to the next. */
interface Link {
  readonly path: string
  readonly format: 'qcow2' | 'raw'
}

const Chain = z
  .array(z.object({ filename: z.string(), format: z.enum(['qcow2', 'raw']) }))
  .min(1)
  .max(32)

/**
 * The disks that a disk is made of, top first. A disk says itself what it stands on, and the process of a machine, which may have become hostile, has
 * written to it: it may name nothing but what is kept for others to stand on.
 */
export async function diskChain(context: Context, disk: string): Promise<Link[]> {
  const { cacheDir } = context.names
  const args = ['info', '--backing-chain', '--force-share', '--output=json', disk]
  const parsed = Chain.safeParse(parseJson(await mustRun(context.run, 'qemu-img', args)))
  if (!parsed.success) {
    throw new GibilError('driver_failed', 'qemu-img told of disks that cannot be served.', { cause: parsed.error })
  }
  const links = parsed.data.map(({ filename, format }) => ({ path: resolve(filename), format }))
  const allowed = [cacheDir, snapshotsDir(context.names)].map((directory) => directory + sep)
  const strange = links.find(({ path }) => !allowed.some((directory) => path.startsWith(directory)))
  if (strange) throw new GibilError('driver_failed', `A disk stands on ${strange.path}, which is none to stand on.`)
  return links
}

/** How qemu-nbd is told of a chain whose files it finds open from a descriptor on: a block device's options in one word. */
export function imageOptions(chain: readonly Link[], firstFd: number): string {
  return chain
    .flatMap(({ format }, index) => {
      const of = 'backing.'.repeat(index)
      return [`${of}driver=${format}`, `${of}file.driver=file`, `${of}file.filename=/proc/self/fd/${firstFd + index}`]
    })
    .join(',')
}
