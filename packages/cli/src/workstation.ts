import { ensureImage, lacksImage } from './needed-image.ts'
import type { Session } from './session.ts'

const image = 'workstation'

/** Said before it is begun; the figures are those of docs/workstation.md. */
export const workstationCost =
  'The image workstation is built first, once: 3.6 GiB of disk, and some 9 minutes on two busy cores.'

export const lacksWorkstation = (session: Pick<Session, 'gibil' | 'signal'>): Promise<boolean> =>
  lacksImage(session, image)

/** Builds the image of `--shape managed` where a create on this machine is the first that needs it. */
export async function ensureWorkstation(
  session: Session,
  wish: Readonly<Partial<Record<'shape' | 'image' | 'provider', string | undefined>>>,
): Promise<void> {
  const { shape, provider = 'local' } = wish
  if (shape === 'managed' && provider === 'local' && wish.image === undefined) {
    await ensureImage(session, image, workstationCost)
  }
}
