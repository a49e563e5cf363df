import { GibilError } from '@gibil/contract'
import type { BoxFiles, BoxKeys } from './box-files.ts'
import type { Link, OpenLink } from './context.ts'
import { deriveKey, keyMark, type SshKey } from './keys.ts'

/** The keys of boxes and the one connection to each. */
export interface Links {
  /** Those that are kept here; else those that the token makes, which are kept from then on. */
  keysOf(id: string): Promise<BoxKeys>
  /** What a machine is made with: the key that it shows, and the one that it admits. */
  forNew(id: string): { readonly host: SshKey; readonly client: SshKey }
  /** Whether this home has the keys of a box with this mark, or can make them. */
  reaches(id: string, mark: string | undefined): Promise<boolean>
  /** `mark`: what the box says of the key that it admits. Throws `cloud_unauthorized` when that is another. */
  to(id: string, host: string, mark: string | undefined): Promise<Link>
  /** Ends the connection; the next one reads the keys anew. */
  drop(id: string): void
  closeAll(): void
}

/** Whom cloud-init makes, and lets become root. */
const username = 'agent'

export function createLinks(files: BoxFiles, token: () => string, openLink: OpenLink): Links {
  const open = new Map<string, { readonly host: string; readonly link: Link }>()
  const drop = (id: string): void => {
    open.get(id)?.link.close()
    open.delete(id)
  }
  const forNew: Links['forNew'] = (id) => ({
    host: deriveKey(token(), id, 'host'),
    client: deriveKey(token(), id, 'client'),
  })
  const keysOf: Links['keysOf'] = async (id) => {
    const kept = await files.read(id)
    if (kept !== undefined) return kept
    const { host, client } = forNew(id)
    const keys = { privateKey: client.privateKey, hostKey: host.publicKey }
    await files.keep(id, keys)
    return keys
  }
  const reaches: Links['reaches'] = async (id, mark) =>
    mark === undefined || mark === keyMark(forNew(id).client.publicKey) || (await files.read(id)) !== undefined
  return {
    keysOf,
    forNew,
    reaches,
    async to(id, host, mark) {
      const known = open.get(id)
      if (known?.host === host) return known.link
      drop(id)
      if (!(await reaches(id, mark))) throw otherToken(id)
      const { privateKey, hostKey } = await keysOf(id)
      // Somebody else was faster while the files were read.
      const meanwhile = open.get(id)
      if (meanwhile?.host === host) return meanwhile.link
      const link = openLink({ id, host, username, privateKey, hostKey })
      open.set(id, { host, link })
      return link
    },
    drop,
    closeAll() {
      for (const id of open.keys()) drop(id)
    },
  }
}

const otherToken = (id: string): GibilError =>
  new GibilError('cloud_unauthorized', `Box ${id} was made with another token, and this home does not have its key.`, {
    hint: 'Use the machine or the token that made it. It can be destroyed from here.',
  })
