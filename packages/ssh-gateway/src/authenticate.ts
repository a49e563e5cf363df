import type { AuthContext } from 'ssh2'
import { admittedKeys, type KeyPlaces } from './admitted-keys.ts'

/** SHA-1, which an RSA key may also be asked to sign with, is broken. */
const rsaHashes: ReadonlySet<string | undefined> = new Set(['sha256', 'sha512'])

/** By a public key alone. Whoever is refused learns nothing of boxes: what name he gave does not matter here. Never rejects. */
export async function admit(attempt: AuthContext, places: KeyPlaces): Promise<void> {
  if (attempt.method !== 'publickey') return attempt.reject(['publickey'])
  const { key, blob, signature, hashAlgo } = attempt
  const known = (await admittedKeys(places)).find((one) => one.getPublicSSH().equals(key.data))
  if (!known) return attempt.reject(['publickey'])
  // Without a signature the client asks whether it is worth making one.
  if (!signature || !blob) return attempt.accept()
  if (known.type === 'ssh-rsa' && !rsaHashes.has(hashAlgo)) return attempt.reject(['publickey'])
  if (known.verify(blob, signature, hashAlgo) === true) attempt.accept()
  else attempt.reject(['publickey'])
}
