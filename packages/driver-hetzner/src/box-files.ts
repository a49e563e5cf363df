import { randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeWhole } from '@gibil/host'

/** How one comes into a box. */
export interface BoxKeys {
  /** Of OpenSSH, without a passphrase. */
  readonly privateKey: string
  /** Of the box itself, public: what it must show. */
  readonly hostKey: string
}

/** What this home keeps of its boxes at the cloud: nothing that could not be done without as long as the token is the same. */
export interface BoxFiles {
  /** A name that this home was given when it was first asked, by chance. */
  homeId(): Promise<string>
  keep(id: string, keys: BoxKeys): Promise<void>
  read(id: string): Promise<BoxKeys | undefined>
  /** Where what is kept of one box lies. */
  directory(id: string): string
  forget(id: string): Promise<void>
}

/**
 * For a home whose records are lost. It gets another name with its next box, so that those that it had are not taken for remains and removed: they are found as boxes
 * of another home, and adopted.
 */
export const forgetHomeId = (home: string): Promise<void> => rm(idPath(home), { force: true })

const idPath = (home: string): string => join(home, 'hetzner', 'home-id')

export function openBoxFiles(home: string): BoxFiles {
  const root = join(home, 'hetzner')
  const dirOf = (id: string): string => join(root, 'boxes', id)
  const keyPath = (id: string): string => join(dirOf(id), 'id_ed25519')
  const hostKeyPath = (id: string): string => join(dirOf(id), 'host_key.pub')
  return {
    directory: dirOf,
    async homeId() {
      const path = idPath(home)
      const known = await readIfThere(path)
      if (known !== undefined && /^[0-9a-f]{16}$/.test(known)) return known
      await mkdir(root, { recursive: true, mode: 0o700 })
      const id = randomBytes(8).toString('hex')
      await writeWhole(path, id, { durable: true })
      return id
    },
    async keep(id, { privateKey, hostKey }) {
      await mkdir(dirOf(id), { recursive: true, mode: 0o700 })
      await writeWhole(keyPath(id), privateKey, { durable: true })
      await writeWhole(hostKeyPath(id), `${hostKey}\n`, { durable: true })
    },
    async read(id) {
      const [privateKey, hostKey] = [await readIfThere(keyPath(id)), await readIfThere(hostKeyPath(id))]
      return privateKey === undefined || hostKey === undefined ? undefined : { privateKey, hostKey: hostKey.trim() }
    },
    forget: (id) => rm(dirOf(id), { recursive: true, force: true }),
  }
}
