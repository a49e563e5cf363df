import { amountTimes, GibilError } from '@gibil/contract'
import type { BakedImage } from '@gibil/core'
import type { CatalogSource } from './catalog.ts'
import type { CallOptions, Client } from './client/client.ts'
import type { ApiImage } from './client/schemas.ts'
import type { Context } from './context.ts'
import { labelNames, labelValue } from './labels.ts'
import { archOf } from './plan.ts'

/** All golden snapshots that are whole, oldest first. */
export async function bakedImages(
  { client, catalog }: { readonly client: Client; readonly catalog: CatalogSource },
  options: CallOptions,
): Promise<readonly BakedImage[]> {
  const images = await client.list('images', { type: 'snapshot', label_selector: labelNames.golden }, options)
  const whole = images.filter(({ status }) => status === 'available')
  if (whole.length === 0) return []
  const { pricing } = await catalog.get({ maxAgeMs: 600_000, ...options })
  const perGb = pricing.image?.price_per_gb_month.net
  return whole.map((image) => toBaked(image, { currency: pricing.currency, perGb }))
}

function toBaked(image: ApiImage, { currency, perGb }: { currency: string; perGb: string | undefined }): BakedImage {
  const { id, labels, architecture, image_size, disk_size, created } = image
  const size = image_size ?? undefined
  return {
    id: String(id),
    name: labels[labelNames.golden] ?? '',
    arch: archOf(architecture),
    sizeBytes: size === undefined ? null : Math.round(size * 1e9),
    leastDiskBytes: Math.round(disk_size * 1e9),
    createdAt: new Date(created).toISOString(),
    currency,
    // A thousandth of a GB is a megabyte, and nobody bills less.
    monthly: size === undefined || perGb === undefined ? null : amountTimes(perGb, Math.ceil(size * 1000), 1000),
  }
}

/** Removes what was baked of a name, for every architecture; boxes that began as it live on. Throws `image_not_found`. */
export async function removeBaked({ client }: Pick<Context, 'client'>, name: string): Promise<void> {
  const images = await client.list('images', { label_selector: `${labelNames.golden}=${labelValue(name)}` })
  if (images.length === 0) {
    throw new GibilError('image_not_found', `No image "${name}" was baked at Hetzner Cloud.`, {
      hint: 'See `gibil image list --provider hetzner`.',
    })
  }
  for (const { id } of images) await client.remove('images', id)
}
