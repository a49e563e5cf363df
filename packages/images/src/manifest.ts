import { createHash } from 'node:crypto'
import { GibilError, type Image, Shape } from '@gibil/contract'
import * as z from 'zod'

/** What an image says about how to run in it; the words are those of the OCI image configuration. */
export const ImageConfig = z.object({
  env: z.record(z.string(), z.string()),
  workdir: z.string().nullable(),
  /** The image's own USER, if it names one. */
  user: z.string().nullable(),
  entrypoint: z.array(z.string()).nullable(),
  cmd: z.array(z.string()).nullable(),
  labels: z.record(z.string(), z.string()),
  exposedPorts: z.array(z.string()),
  volumes: z.array(z.string()),
  /** What `RUN`, `CMD` and `ENTRYPOINT` in shell form are run by, when an image says so. */
  shell: z.array(z.string()).nullable(),
})
export type ImageConfig = z.infer<typeof ImageConfig>

export const emptyConfig: ImageConfig = {
  env: {},
  workdir: null,
  user: null,
  entrypoint: null,
  cmd: null,
  labels: {},
  exposedPorts: [],
  volumes: [],
  shell: null,
}

/** An image as it is kept, in `manifests/`. */
export const ImageManifest = z.object({
  version: z.literal(1),
  /** Null once another image has taken the name while boxes still use this one. */
  name: z.string().nullable(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  source: z.string(),
  createdAt: z.iso.datetime(),
  /** Lowest first. */
  layers: z.array(z.string()).min(1),
  sizeBytes: z.int(),
  config: ImageConfig,
  /** Whether /etc/passwd knows `agent`. */
  hasAgent: z.boolean(),
  /** What a recipe was when this was built from it: equal means that building again would change nothing. */
  recipeHash: z.string().nullable(),
  /** Layers of earlier stages, kept for the next build. */
  buildLayers: z.array(z.string()),
})
export type ImageManifest = z.infer<typeof ImageManifest>

/** The digest of an image: over its layers and configuration, so that the same content under two names is the same image. */
export const digestOf = (layers: readonly string[], config: ImageConfig): string => {
  const sorted = (record: Readonly<Record<string, string>>) =>
    Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))
  const canonical = [layers, { ...config, env: sorted(config.env), labels: sorted(config.labels) }]
  return `sha256:${createHash('sha256').update(JSON.stringify(canonical)).digest('hex')}`
}

/** Whom commands run as when nobody is named: `agent` if the image has that user, else the image's USER, else root. */
export const defaultUser = (manifest: Pick<ImageManifest, 'hasAgent' | 'config'>): string =>
  manifest.hasAgent ? 'agent' : (manifest.config.user ?? 'root')

/** By this label an image says what its boxes are when nobody names a shape. */
const shapeLabel = 'gibil.shape'

export const shapeOf = ({ config }: Pick<ImageManifest, 'config'>): Shape | undefined =>
  Shape.safeParse(config.labels[shapeLabel]).data

export const toImage = (manifest: ImageManifest): Image => ({
  name: manifest.name ?? manifest.digest,
  digest: manifest.digest,
  source: manifest.source,
  sizeBytes: manifest.sizeBytes,
  layers: manifest.layers.length,
  createdAt: manifest.createdAt,
  env: manifest.config.env,
  workdir: manifest.config.workdir,
  user: defaultUser(manifest),
})

const imageName = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}$/

/** Throws `invalid_request` for what cannot name an image. */
export const checkName = (name: string): string => {
  if (imageName.test(name) && !name.startsWith('sha256:') && !name.includes('..') && !name.includes('//')) return name
  throw new GibilError('invalid_request', `${JSON.stringify(name.slice(0, 80))} cannot be the name of an image.`, {
    hint: 'Use letters, digits and . _ : / @ -, at most 200 of them, such as base or alpine:3.20.',
  })
}
