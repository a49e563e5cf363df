import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GibilError } from '@gibil/contract'
import ssh2 from 'ssh2'

export interface HostKey {
  /** As OpenSSH writes it. A secret. */
  readonly private: string
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly public: string
}

/** The host key of a home, made once: clients remember it. A damaged file is an error (`host_unfit`), never replaced in silence. */
export async function readOrMakeHostKey(path: string): Promise<HostKey> {
  const known = await readFile(path, 'utf8').catch(() => undefined)
  if (known === undefined) await make(path)
  const text = known ?? (await readFile(path, 'utf8'))
  const parsed = ssh2.utils.parseKey(text)
  if (parsed instanceof Error || !parsed.isPrivateKey()) {
    throw new GibilError('host_unfit', `${path} does not hold a host key.`, {
      hint: 'Remove that file; the daemon makes a new one at its next start, and clients of ssh ask about it.',
    })
  }
  return { private: text, public: `${parsed.type} ${parsed.getPublicSSH().toString('base64')}` }
}

async function make(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const fresh = `${path}.${randomUUID()}`
  await writeFile(fresh, `${ssh2.utils.generateKeyPairSync('ed25519').private.trimEnd()}\n`, { mode: 0o600 })
  // Whole from the moment that it can be seen; the first to come wins.
  await link(fresh, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(fresh, { force: true })
}
