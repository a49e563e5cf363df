/** Images: a root filesystem plus defaults, usable by every shape. */
import * as z from 'zod'
import { Provider, SizePreset } from './box.ts'
import { Arch, CloudWish, maxCloudInitBytes } from './cloud.ts'
import { Amount } from './price.ts'

export const Image = z.object({
  name: z.string(),
  digest: z.string().describe('sha256 over its layers and config'),
  source: z.string().describe('recipe, Dockerfile, registry reference or tarball it came from'),
  sizeBytes: z.int(),
  layers: z.int(),
  createdAt: z.iso.datetime(),
  env: z.record(z.string(), z.string()),
  workdir: z.string().nullable(),
  user: z.string().nullable(),
})
export type Image = z.infer<typeof Image>

export const PullImage = z.strictObject({
  reference: z.string().describe('such as docker.io/library/alpine:3.20'),
  name: z.string().optional(),
  plainHttp: z.boolean().optional().describe('for a registry without TLS'),
  username: z.string().optional(),
  password: z.string().optional(),
})
export const BuildImage = z.strictObject({
  name: z.string(),
  recipe: z.string().optional().describe('a recipe of ours, such as base; else the body carries a build context'),
  dockerfile: z.string().optional(),
  args: z.record(z.string(), z.string()).optional(),
  noCache: z.boolean().optional(),
})
/** A line of progress of a long call, sent as a server-sent event before its result. */
/** A box whose files become an image. */
export const SaveImage = z.strictObject({
  box: z.string().describe('name or id of a box that runs'),
  name: z.string().optional().describe('of the image; default that of the box'),
})
export type SaveImage = z.infer<typeof SaveImage>

export const Progress = z.object({
  phase: z.string(),
  message: z.string().optional(),
  ms: z.number().optional(),
  notice: z.boolean().optional().describe('the message is to be read, not only to be seen while it lasts'),
})
export type Progress = z.infer<typeof Progress>

export const PruneResult = z.object({
  removed: z.array(z.string()).describe('what was removed: layers and leftovers that no image uses'),
  freedBytes: z.int(),
})
export type PruneResult = z.infer<typeof PruneResult>

/** A snapshot at a cloud of which boxes begin, so that they install nothing. */
export const BakedImage = z.object({
  name: z.string().describe('by which boxes ask for it'),
  provider: Provider,
  id: z.string().describe('of the snapshot, at its provider'),
  arch: Arch,
  sizeBytes: z.int().nullable().describe('what is billed'),
  leastDiskBytes: z.int().describe('the disk of a machine that it fits'),
  createdAt: z.iso.datetime(),
  currency: z.string(),
  monthly: Amount.nullable().describe('what it costs as long as it is there, net'),
})
export type BakedImage = z.infer<typeof BakedImage>

export const BakeImage = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
    .describe('by which boxes ask for it; a recipe of ours, unless cloudInit says what is in it'),
  provider: Provider.optional().describe('default hetzner'),
  cloudInit: z
    .string()
    .max(maxCloudInitBytes)
    .optional()
    .describe('what sets the machine up: a #cloud-config or a script'),
  cloud: CloudWish.optional(),
  size: SizePreset.optional().describe(
    'of the machine that it is made on; default small. It fits no machine with a smaller disk',
  ),
})
export type BakeImage = z.infer<typeof BakeImage>
