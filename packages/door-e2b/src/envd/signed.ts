import type { Incoming } from '../deps.ts'
import { flawOf, type Signed, signatureOf } from '../signature.ts'
import { sameSecret } from '../tokens.ts'

/** What an address of a file says of itself, and by what it is signed. */
export interface SignedAddress {
  readonly signed: Signed
  readonly signature: string
}

const addressOf = ({ url }: Incoming): URL => new URL(url ?? '/', 'http://sandbox')

export const isFileAddress = (incoming: Incoming): boolean => addressOf(incoming).pathname === '/files'

/** Undefined for an address that is not signed. */
export function signedIn(incoming: Incoming): SignedAddress | undefined {
  const { searchParams: query } = addressOf(incoming)
  const signature = query.get('signature')
  if (signature === null) return undefined
  const expires = query.get('signature_expiration')
  const signed: Signed = {
    path: query.get('path') ?? '',
    operation: incoming.method === 'GET' ? 'read' : 'write',
    user: query.get('username') ?? '',
    expires: expires === null ? undefined : Number(expires),
  }
  return { signed, signature }
}

/** Whether it was made with this token, be it good any more or not. */
export const isSignedBy = ({ signed, signature }: SignedAddress, token: string): boolean =>
  sameSecret(signature, signatureOf(signed, token))

/** What is wrong with it now; undefined: nothing. */
export const flawNow = ({ signed, signature }: SignedAddress, token: string): string | undefined =>
  flawOf(signature, signed, token, Math.floor(Date.now() / 1000))
