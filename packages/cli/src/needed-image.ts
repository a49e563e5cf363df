import { GibilError } from '@gibil/sdk'
import { createProgress } from './output/progress.ts'
import type { Session } from './session.ts'

/** False also where the caller may not know. */
export const lacksImage = ({ gibil, signal }: Pick<Session, 'gibil' | 'signal'>, image: string): Promise<boolean> =>
  gibil.images.list({ signal }).then(
    (images) => !images.some(({ name }) => name === image),
    () => false,
  )

/** Builds an image of ours where it is missing, after it was said what that takes. */
export async function ensureImage(
  session: Pick<Session, 'gibil' | 'signal' | 'note' | 'json' | 'stderr' | 'colors'>,
  image: string,
  cost: string,
): Promise<void> {
  if (!(await lacksImage(session, image))) return
  session.note(`  ${cost}\n`)
  const progress = session.json ? undefined : createProgress(session, image)
  try {
    await session.gibil.images.build(
      { name: image, recipe: image },
      { onProgress: progress?.onProgress, signal: session.signal },
    )
  } catch (error) {
    // Whoever has a token only may not build; what needs the image says what is missing.
    if (!GibilError.is(error) || error.code !== 'administrator_only') throw error
  } finally {
    progress?.end()
  }
}
