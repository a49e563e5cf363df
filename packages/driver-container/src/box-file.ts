import { Egress, GibilError, Isolation, NetworkPolicy, Size } from '@gibil/contract'
import type { DriverSpec } from '@gibil/core'
import { type HomeNames, isBoxId, parseJson, type RoutedPolicy, readNow, slotCount, writeWhole } from '@gibil/host'
import * as z from 'zod'
import type { BoxPaths } from './box-paths.ts'

const spec = z.object({
  id: z.string().refine(isBoxId),
  hostname: z.string(),
  image: z.object({
    name: z.string(),
    digest: z.string(),
    layers: z.array(z.string()).min(1),
    env: z.record(z.string(), z.string()),
    workdir: z.string().nullable(),
    user: z.string().nullable(),
  }),
  size: Size,
  network: NetworkPolicy,
  egress: Egress.optional(),
  // Boxes of before there was a choice have none.
  isolation: Isolation.default('namespaces'),
  volumes: z.array(z.object({ id: z.string().refine(isBoxId), path: z.string().startsWith('/') })).optional(),
  labels: z.record(z.string(), z.string()),
  from: z.string().refine(isBoxId).optional(),
}) satisfies z.ZodType<DriverSpec>

const boxFile = z.object({
  version: z.literal(1),
  /** `creating` until create has come to its end: a box that says so is the remainder of a create, also when it runs. */
  phase: z.enum(['creating', 'made']),
  slot: z
    .int()
    .min(0)
    .max(slotCount - 1),
  /** Kept, because the files on the box's disk are owned by these ids. */
  uidBase: z.int().positive(),
  /** Of a disk that came from a snapshot: the ids that own its files instead. */
  diskUidBase: z.int().positive().optional(),
  /** A restore has begun and not come to its end: the disk may be another's than the rest of this says. */
  restoring: z.boolean().optional(),
  /** The address that the files in the box's /etc name; null without a network. */
  address: z.string().nullable(),
  spec,
})

/** What a driver remembers of a box: written before anything is made, removed after everything is gone. */
export type BoxFile = Readonly<Omit<z.infer<typeof boxFile>, 'spec'>> & { readonly spec: DriverSpec }

/** Throws `invalid_request` for what could be written and not be read again, such as a size below the least one. */
export function assertSpec(given: DriverSpec): void {
  const parsed = spec.safeParse(given)
  if (parsed.success) return
  throw new GibilError('invalid_request', `The box cannot be made so. ${z.prettifyError(parsed.error)}`)
}

export type ReadBox = { readonly kind: 'box'; readonly box: BoxFile } | { readonly kind: 'missing' | 'damaged' }

export async function readBoxFile(paths: BoxPaths): Promise<ReadBox> {
  const text = readNow(paths.boxFile)
  if (text === undefined) return { kind: 'missing' }
  const parsed = boxFile.safeParse(parseJson(text))
  return parsed.success ? { kind: 'box', box: parsed.data } : { kind: 'damaged' }
}

export async function writeBoxFile(paths: BoxPaths, box: BoxFile, options: { durable: boolean }): Promise<void> {
  await writeWhole(paths.boxFile, `${JSON.stringify(box, null, 2)}\n`, options)
}

/** The first of the ids that own the files on a box's disk. */
export const diskOwner = ({ diskUidBase, uidBase }: BoxFile): number => diskUidBase ?? uidBase

/** The policies whose boxes have a link: all but `none`. */
export function routedPolicy(policy: NetworkPolicy): RoutedPolicy | undefined {
  return policy === 'none' ? undefined : policy
}

export function cgroupPath(names: HomeNames, id: string): string {
  return `/${names.prefix}/${id}`
}
