import { createHash, createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'

/** A pair of Ed25519 keys as OpenSSH writes them. */
export interface SshKey {
  /** PEM, `OPENSSH PRIVATE KEY`, without a passphrase. */
  readonly privateKey: string
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicKey: string
}

/** With `client` one comes to the box, by `host` it shows that it is the box. */
export type KeyPurpose = 'client' | 'host'

/**
 * The key of a box, made of the token of the cloud project and the id of the box by HKDF (RFC 5869): every machine that has the token has the keys of its
 * boxes, and nothing need be kept or sent. The token cannot be found from a key.
 */
export function deriveKey(token: string, boxId: string, purpose: KeyPurpose): SshKey {
  const seed = Buffer.from(hkdfSync('sha256', token, 'gibil ssh key 1', `${purpose} ${boxId}`, 32))
  return fromSeed(seed)
}

/** PKCS #8 of an Ed25519 key is this and its seed (RFC 8410 section 7). */
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex')

function fromSeed(seed: Buffer): SshKey {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const point = spki.subarray(-32)
  const kind = text('ssh-ed25519')
  const publicBlob = Buffer.concat([kind, string(point)])
  return { privateKey: openSshPem(seed, point, publicBlob), publicKey: `ssh-ed25519 ${publicBlob.toString('base64')}` }
}

/** PROTOCOL.key of OpenSSH: a list of keys, here one, with no cipher. */
function openSshPem(seed: Buffer, point: Buffer, publicBlob: Buffer): string {
  // Two equal numbers, by which one sees that a passphrase was right. There is none, and the same key is to be the same text.
  const check = createHash('sha256').update(seed).digest().subarray(0, 4)
  const secret = Buffer.concat([
    check,
    check,
    text('ssh-ed25519'),
    string(point),
    string(Buffer.concat([seed, point])),
    text(''),
  ])
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1))
  const count = Buffer.from([0, 0, 0, 1])
  const blob = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    text('none'),
    text('none'),
    text(''),
    count,
    string(publicBlob),
    string(Buffer.concat([secret, padding])),
  ])
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

/** Length and bytes (RFC 4251 section 5). */
function string(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const text = (value: string): Buffer => string(Buffer.from(value))

/** By which keys are told apart in a label. */
export const keyMark = (publicKey: string): string => createHash('sha256').update(publicKey).digest('hex').slice(0, 16)
