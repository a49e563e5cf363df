import { join } from 'node:path'
import { checkUserText } from '@gibil/cloud-init'
import { Egress, GibilError, Isolation, NetworkPolicy, Size } from '@gibil/contract'
import type { DriverSpec } from '@gibil/core'
import { isBoxId, parseJson, readIfThere, slotCount, writeWhole } from '@gibil/host'
import * as z from 'zod'
import type { MachineModel } from './model.ts'
import type { BoxPaths } from './names.ts'

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
  isolation: Isolation,
  labels: z.record(z.string(), z.string()),
  from: z.string().refine(isBoxId).optional(),
  cloudInit: z.string().optional(),
}) satisfies z.ZodType<DriverSpec>

export const firstDisk = 'root.qcow2'

const fileName = z.string().regex(/^[a-z0-9][a-z0-9.-]*$/)

const boxFile = z.object({
  version: z.literal(1),
  /** `creating` until create has come to its end: a box that says so is the remainder of a create, also when it runs. */
  phase: z.enum(['creating', 'made']),
  slot: z
    .int()
    .min(0)
    .max(slotCount - 1),
  /** What must stay as long as the box, since its disk holds but the difference: a disk of an image, and where it has one its frozen machine. */
  standsOn: z.array(z.string()).min(1).readonly(),
  /** Its disk, a name in its own directory; another one after a restore. */
  disk: fileName.default(firstDisk),
  /**
   * The box is paused: a directory in its own one holds the machine, and no process may go on with its disk. `address` is that of the
   * box when it was saved.
   */
  paused: z.object({ directory: fileName, address: z.string().nullable() }).optional(),
  spec,
})

/** What the driver remembers of a box: written before anything is made, removed after everything is gone. */
export type BoxFile = Readonly<Omit<z.infer<typeof boxFile>, 'spec'>> & { readonly spec: DriverSpec }

/** Throws `invalid_request` for what could be written and not be read again, `invalid_size` for what could not boot, `invalid_user_data`. */
export function assertSpec({ shape, leastMemoryMib }: MachineModel, given: DriverSpec): void {
  const parsed = spec.safeParse(given)
  if (!parsed.success) {
    throw new GibilError('invalid_request', `The box cannot be made so. ${z.prettifyError(parsed.error)}`)
  }
  checkUserText(given.cloudInit ?? '')
  if (given.size.memoryMib < leastMemoryMib) {
    throw new GibilError('invalid_size', `A ${shape} needs at least ${leastMemoryMib} MiB of memory for its kernel.`, {
      hint: `Give it more: --memory ${leastMemoryMib}M or more. A container can be smaller.`,
    })
  }
}

export type ReadBox = { readonly kind: 'box'; readonly box: BoxFile } | { readonly kind: 'missing' | 'damaged' }

export async function readBoxFile(paths: BoxPaths): Promise<ReadBox> {
  const text = await readIfThere(paths.boxFile)
  if (text === undefined) return { kind: 'missing' }
  const parsed = boxFile.safeParse(parseJson(text))
  return parsed.success ? { kind: 'box', box: parsed.data } : { kind: 'damaged' }
}

/** `durable`: where its loss would have a machine go on with a disk that has gone on without it. */
export async function writeBoxFile(paths: BoxPaths, box: BoxFile, options = { durable: false }): Promise<void> {
  await writeWhole(paths.boxFile, `${JSON.stringify(box, null, 2)}\n`, options)
}

export const diskOf = (paths: BoxPaths, box: BoxFile): string => join(paths.kept, box.disk)
