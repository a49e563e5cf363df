import { type BakedImage, formatBytes, formatDuration, formatMoney, GibilError } from '@gibil/sdk'
import { cloudOptions } from './options/cloud.ts'
import { oneOf } from './options/parse.ts'
import { createProgress } from './output/progress.ts'
import { clean, table } from './output/text.ts'
import type { Session } from './session.ts'

interface BakeFlags {
  readonly provider: 'hetzner'
  readonly size?: string
  readonly serverType?: string
  readonly location?: string
  readonly arch?: string
  readonly maxHourly?: string
  readonly cloudInit?: string
}

/** `gibil image bake`: what it prints while it is set up is shown, and at the end what it costs. */
export async function bakeImage(session: Session, name: string, flags: BakeFlags): Promise<void> {
  const { provider, size, ...rest } = flags
  const request = {
    name,
    provider,
    ...(await cloudOptions(rest, session)),
    ...(size === undefined ? {} : { size: oneOf(size, ['small', 'medium', 'large'], 'a size', 'invalid_size') }),
  }
  const progress = session.json ? undefined : createProgress(session, name)
  try {
    const image = await session.gibil.images.bake(request, {
      onProgress: progress?.onProgress,
      signal: session.signal,
    })
    progress?.end()
    session.emit(image, `${clean(image.name)}\n`)
    session.note(
      `${session.colors.green('✓')} ${clean(image.name)} at ${provider}, ${sizeOf(image)} for ${image.arch}, ${costOf(image)} until it is removed\n`,
    )
    session.note(
      `  next: gibil create --provider ${provider} --image ${clean(image.name)}   gibil image rm ${clean(image.name)} --provider ${provider}\n`,
    )
  } finally {
    progress?.end()
  }
}

export async function listBaked(session: Session, quiet: boolean): Promise<void> {
  const images = await session.gibil.images.baked({ signal: session.signal })
  if (images.length === 0) session.note('No images at hetzner. Bake one: gibil image bake vm --provider hetzner\n')
  session.emit(images, () => {
    if (quiet) return images.map(({ name }) => `${clean(name)}\n`).join('')
    return images.length === 0 ? '' : bakedTable(images, session)
  })
}

const patienceMs = 5000
/** Where there is no cloud, or none for this caller, there is nothing to list. */
const nothing = ['cloud_unauthorized', 'administrator_only', 'unsupported_by_shape', 'not_found']

/** Beside the images of this machine: a cloud that does not answer does not keep them. */
export async function bakedIfAny(session: Session): Promise<BakedImage[]> {
  try {
    const signal = AbortSignal.any([session.signal, AbortSignal.timeout(patienceMs)])
    return await session.gibil.images.baked({ signal })
  } catch (thrown) {
    session.signal.throwIfAborted()
    const { code } = GibilError.from(thrown)
    if (!nothing.includes(code)) session.note(`Images at hetzner could not be listed (${code}).\n`)
    return []
  }
}

export function bakedTable(images: readonly BakedImage[], { colors }: Session): string {
  const rows = images.map((image) => [
    image.name,
    sizeOf(image),
    `${formatDuration(Date.now() - Date.parse(image.createdAt))} ago`,
    image.arch,
    `${formatBytes(image.leastDiskBytes)} disk`,
    costOf(image),
    `${image.provider} ${image.id}`,
  ])
  return table(['NAME', 'SIZE', 'MADE', 'ARCH', 'FITS', 'COST', 'WHERE'], rows, colors.dim)
}

const sizeOf = ({ sizeBytes }: BakedImage): string => (sizeBytes === null ? 'size not known' : formatBytes(sizeBytes))
const costOf = ({ monthly, currency }: BakedImage): string =>
  monthly === null ? 'price not known' : `${formatMoney(monthly, currency)} per month`
