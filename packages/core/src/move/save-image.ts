import { GibilError, type Image } from '@gibil/contract'
import type { CreateOptions } from '../control-plane.ts'
import { dockerData } from './plan.ts'
import { type StillParts, whileStill } from './still.ts'

/** See `ControlPlane.saveImage`. */
export async function saveImage(
  parts: StillParts,
  ref: string,
  name: string,
  { onProgress, signal: leaving }: CreateOptions,
): Promise<Image> {
  const { images } = parts.context.deps
  return whileStill(parts, ref, { what: 'saved', signal: leaving }, async ({ record, boxd, signal }) => {
    try {
      const of = record.provider === 'local' ? record.imageDigest : null
      const tar = await boxd.readTree(dockerData)
      const options = { signal, ...(onProgress ? { onProgress } : {}) }
      const { image, report } = await images.saveTree({ name, source: `box ${record.name}`, of, tar }, options)
      if (report.changedCount > 0) {
        const message = `${report.changedCount} files changed each time they were read, such as ${report.changed[0]}`
        onProgress?.({ phase: 'copy', message, notice: true })
      }
      return image
    } catch (error) {
      throw GibilError.from(error, 'driver_failed')
    }
  })
}
