import { GibilError, type Image } from '@gibil/contract'
import { checkHasState } from '../box/snapshot-rules.ts'
import type { CreateOptions } from '../control-plane.ts'
import type { Context } from '../plane/context.ts'
import type { Reconciler } from '../plane/reconciler.ts'
import type { Verbs } from '../plane/verbs.ts'
import { checkRuns } from './move.ts'
import { dockerData } from './plan.ts'

interface Parts {
  readonly context: Context
  readonly reconciler: Reconciler
  readonly verbs: Pick<Verbs, 'resume'>
}

/** See `ControlPlane.saveImage`. */
export async function saveImage(
  { context, reconciler, verbs }: Parts,
  ref: string,
  name: string,
  { onProgress, signal: leaving }: CreateOptions,
): Promise<Image> {
  const { boxes, deps, takeover } = context
  const { id } = await boxes.find(ref)
  await takeover.one(id)
  const found = await boxes.find(id)
  checkRuns(found, 'saved')
  if (found.status === 'paused') await verbs.resume(id)
  return reconciler.alone(id, async (stopping) => {
    const record = await boxes.find(id)
    checkHasState(record, 'saved', false)
    checkRuns(record, 'saved')
    const signal = leaving ? AbortSignal.any([leaving, stopping]) : stopping
    const boxd = context.boxd.of(record, signal)
    const goOn = await boxd.standStill()
    try {
      const of = record.provider === 'local' ? record.imageDigest : null
      const tar = await boxd.readTree(dockerData)
      const options = { signal, ...(onProgress ? { onProgress } : {}) }
      const { image, report } = await deps.images.saveTree({ name, source: `box ${record.name}`, of, tar }, options)
      if (report.changedCount > 0) {
        const message = `${report.changedCount} files changed each time they were read, such as ${report.changed[0]}`
        onProgress?.({ phase: 'copy', message, notice: true })
      }
      return image
    } catch (error) {
      throw GibilError.from(error, 'driver_failed')
    } finally {
      goOn()
    }
  })
}
