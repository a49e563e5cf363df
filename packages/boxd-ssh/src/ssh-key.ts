import ssh2 from 'ssh2'

/** A pair of Ed25519 keys as OpenSSH writes them. */
export interface SshKey {
  /** A PEM block, with a newline at its end. A secret. */
  readonly privateKey: string
  /** One line: `ssh-ed25519 AAAA… comment`. */
  readonly publicKey: string
}

/** A new key, of a box to log in to or of its host. The comment shows who it belongs to; it has no spaces. */
export function makeSshKey(comment: string): SshKey {
  const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment })
  return { privateKey: `${pair.private.trimEnd()}\n`, publicKey: pair.public.trim() }
}
