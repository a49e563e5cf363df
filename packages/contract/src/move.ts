/** A box that becomes one of another shape, place or size, with what is on its disk. */
import * as z from 'zod'
import { Box, Provider, ShapeOrPreset, SizePreset } from './box.ts'
import { CloudWish } from './cloud.ts'

export const MoveBox = z.strictObject({
  shape: ShapeOrPreset.optional().describe(
    'default: the one that it has; managed: a vm of the image workstation, 4 vCPU, 16 GiB, 30 GiB',
  ),
  provider: Provider.optional().describe('default: the one that it has'),
  size: SizePreset.optional(),
  cpu: z.number().positive().optional(),
  memoryMib: z.int().positive().optional(),
  diskMib: z.int().positive().optional(),
  cloud: CloudWish.optional().describe('of a provider that is not this machine'),
})
export type MoveBox = z.infer<typeof MoveBox>

/** What boxd says of a tree that it sent or laid, beside what is in it. */
export const TreeReport = z.object({
  entries: z.int().min(0),
  changed: z
    .array(z.string().max(32_768))
    .max(1000)
    .describe('files that changed each time they were read; 100 at most, the count has all'),
  changedCount: z.int().min(0),
  sockets: z.int().min(0),
})
export type TreeReport = z.infer<typeof TreeReport>

export const Moved = z.object({
  box: Box,
  bytes: z.number().describe('what was carried over; 0 when its disk stayed where it was'),
  silentMs: z.number().describe('how long the box answered nobody'),
  changed: TreeReport.shape.changed,
  notes: z.array(z.string()).describe('what is not as before, a sentence each'),
})
export type Moved = z.infer<typeof Moved>
