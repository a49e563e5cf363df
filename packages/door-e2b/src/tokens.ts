import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** The secrets of one sandbox. They are derived, so that there is nothing to keep and nothing to lose. */
export interface SandboxTokens {
  /** Opens commands and files: `X-Access-Token`. */
  readonly envd: string
  /** Opens the ports of a sandbox that does not show them to everyone. */
  readonly traffic: string
}

export function tokensOf(secret: string, boxId: string): SandboxTokens {
  const derive = (what: string): string =>
    createHmac('sha256', secret).update(`${what}:${boxId}`).digest('base64url').replaceAll(/[-_]/g, '0').slice(0, 40)
  return { envd: derive('e2b-envd'), traffic: derive('e2b-traffic') }
}

/** Opens the files of a volume. */
export const volumeTokenOf = (secret: string, volumeId: string): string =>
  createHmac('sha256', secret).update(`e2b-volume:${volumeId}`).digest('hex')

/** Compares without telling by its time how much of it was right. */
export function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}
