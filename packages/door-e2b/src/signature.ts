import { createHash } from 'node:crypto'
import { sameSecret } from './tokens.ts'

export interface Signed {
  /** As it stands in the address, and not what it leads to. */
  readonly path: string
  readonly operation: 'read' | 'write'
  readonly user: string
  /** Seconds since the epoch. */
  readonly expires?: number | undefined
}

/** The signature of an address of a file, which opens that file alone to whoever has the address. */
export function signatureOf({ path, operation, user, expires }: Signed, token: string): string {
  const text = [path, operation, user, token, ...(expires === undefined ? [] : [expires])].join(':')
  return `v1_${createHash('sha256').update(text).digest('base64').replaceAll('=', '')}`
}

/** What is wrong with a signature; undefined: it is right. `now` in seconds since the epoch. */
export function flawOf(signature: string, signed: Signed, token: string, now: number): string | undefined {
  if (!sameSecret(signature, signatureOf(signed, token))) return 'invalid signature'
  return signed.expires !== undefined && signed.expires < now ? 'signature is already expired' : undefined
}
