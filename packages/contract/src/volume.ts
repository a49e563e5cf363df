/** Volumes: directories that outlive boxes and are in several of them at once. */
import * as z from 'zod'

/** What E2B allows too; it is no DNS label, since no address is made of it. */
const VolumeName = z.string().regex(/^[A-Za-z0-9_-]{1,63}$/, '1 to 63 of A-Z, a-z, 0-9, "-" and "_"')

const SizeMib = z
  .int()
  .min(16)
  .max(16 * 1024 * 1024)

export const Volume = z.object({
  id: z.string(),
  name: VolumeName,
  owner: z.string().nullable().describe('null: your own; else the token that made it'),
  sizeMib: z.int().describe('the most that it holds, in MiB'),
  bytes: z.number().describe("room on the host's disk that it takes"),
  boxes: z.array(z.string()).describe('names of the boxes that have it, whatever their status'),
  createdAt: z.iso.datetime(),
})
export type Volume = z.infer<typeof Volume>

export const CreateVolume = z.strictObject({
  name: VolumeName,
  sizeMib: SizeMib.optional().describe('the most that it will hold, in MiB; default 10240'),
})
export type CreateVolume = z.infer<typeof CreateVolume>

export const VolumeMount = z.strictObject({
  volume: z.string().describe('name of a volume'),
  path: z.string().describe('where in the box; absolute, and made if it is not there'),
})
export type VolumeMount = z.infer<typeof VolumeMount>
