import { createHash } from 'node:crypto'
import { GibilError } from '@gibil/contract'

/** The bytes of a public key line, `ssh-ed25519 AAAA… comment`. Throws `invalid_request`. */
export function keyBlob(publicKey: string): Buffer {
  const base64 = publicKey.trim().split(/\s+/)[1] ?? ''
  const blob = Buffer.from(base64, 'base64')
  if (blob.length === 0) throw new GibilError('invalid_request', 'The host key of a box is not an OpenSSH public key.')
  return blob
}

/** As OpenSSH shows it: `SHA256:` and base64 without padding. */
export const fingerprintOf = (key: Uint8Array): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`

/** Nothing was sent to the machine when this is thrown: the host key is checked before anyone logs in. */
export function hostKeyMismatch(id: string, place: string, expected: Uint8Array, found: Uint8Array): GibilError {
  const fingerprints = { expected: fingerprintOf(expected), found: fingerprintOf(found) }
  return new GibilError(
    'host_key_mismatch',
    `The machine at ${place} is not box ${id}: its host key is ${fingerprints.found}, and the box has ${fingerprints.expected}. ` +
      'The address may belong to another machine now, the box may have been installed anew, or someone is between.',
    { details: { box: id, place, ...fingerprints } },
  )
}
