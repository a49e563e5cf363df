import { type Arch, GibilError } from '@gibil/contract'
import type { CallOptions, Client } from './client/client.ts'
import type { ApiImage } from './client/schemas.ts'
import { labelNames, labelValue } from './labels.ts'
import { archOf } from './plan.ts'

/** What a box begins as at the cloud: one image for each architecture that there is. */
export interface CloudImage {
  readonly id: number
  readonly arch: Arch
  /** The least disk that it fits, in GB. */
  readonly diskGb: number
  readonly golden: boolean
}

/** What our own images without more in them are here: the system that they are made of. */
const stock: Readonly<Record<string, string>> = { vm: 'debian-12', base: 'debian-12' }

/**
 * A golden snapshot of this image where one was baked, else the cloud's own system of this name.
 * Throws `image_not_found`.
 */
export async function findImages(client: Client, name: string, options: CallOptions): Promise<readonly CloudImage[]> {
  const baked = await client.list('images', { type: 'snapshot', label_selector: goldenOf(name) }, options)
  const golden = newestOfEach(baked.filter(({ status }) => status === 'available'))
  if (golden.length > 0) return golden.map((image) => toImage(image, true))
  return systemImages(client, name, options)
}

/** The cloud's own system that an image is made of. Throws `image_not_found`. */
export async function systemImages(client: Client, name: string, options: CallOptions): Promise<readonly CloudImage[]> {
  const systems = await client.list('images', { type: 'system', name: stock[name] ?? name }, options)
  const usable = newestOfEach(systems.filter(({ status }) => status === 'available'))
  if (usable.length > 0) return usable.map((image) => toImage(image, false))
  throw new GibilError('image_not_found', `Hetzner Cloud has no image "${name}", and none was baked there.`, {
    hint: `Bake it: \`gibil image bake ${name} --provider hetzner\`, or name one of theirs, such as debian-12.`,
  })
}

const goldenOf = (name: string): string => `${labelNames.golden}=${labelValue(name)}`

function newestOfEach(images: readonly ApiImage[]): ApiImage[] {
  const newest = new Map<string, ApiImage>()
  for (const image of images.toSorted((a, b) => a.created.localeCompare(b.created))) {
    newest.set(image.architecture, image)
  }
  return [...newest.values()]
}

const toImage = ({ id, architecture, disk_size }: ApiImage, golden: boolean): CloudImage => ({
  id,
  arch: archOf(architecture),
  diskGb: disk_size,
  golden,
})
