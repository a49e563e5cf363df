import { GibilError } from '@gibil/sdk'
import { createProgress } from './output/progress.ts'
import type { Session } from './session.ts'

const image = 'workstation'

/** Said before it is begun; the figures are those of docs/workstation.md. */
export const workstationCost =
  'The image workstation is built first, once: 3.6 GiB of disk, and some 9 minutes on two busy cores.'

/** False also where the caller may not know. */
export const lacksWorkstation = ({ gibil, signal }: Pick<Session, 'gibil' | 'signal'>): Promise<boolean> =>
  gibil.images.list({ signal }).then(
    (images) => !images.some(({ name }) => name === image),
    () => false,
  )

/** Builds the image of `--shape managed` where a create on this machine is the first that needs it. */
export async function ensureWorkstation(
  session: Session,
  wish: Readonly<Partial<Record<'shape' | 'image' | 'provider', string | undefined>>>,
): Promise<void> {
  const { shape, provider = 'local' } = wish
  if (shape !== 'managed' || provider !== 'local' || wish.image !== undefined) return
  if (!(await lacksWorkstation(session))) return
  session.note(`  ${workstationCost}\n`)
  const progress = session.json ? undefined : createProgress(session, image)
  try {
    await session.gibil.images.build(
      { name: image, recipe: image },
      { onProgress: progress?.onProgress, signal: session.signal },
    )
  } catch (error) {
    // Whoever has a token only may not build; the create says what is missing.
    if (!GibilError.is(error) || error.code !== 'administrator_only') throw error
  } finally {
    progress?.end()
  }
}
