import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from './files.ts'

export interface EtcInput {
  readonly id: string
  readonly hostname: string
  /** Null without a network. */
  readonly address: string | null
  readonly gateway: string
}

/** The files that name the box and its resolver. IPv6 is off in a box, so `localhost` has one address. */
export function etcFiles({ id, hostname, address, gateway }: EtcInput): Readonly<Record<string, string>> {
  return {
    hostname: `${hostname}\n`,
    hosts: `127.0.0.1 localhost\n${address ?? '127.0.1.1'} ${hostname}\n`,
    'resolv.conf': address === null ? '# this box has no network\n' : `nameserver ${gateway}\n`,
    'machine-id': `${createHash('sha256').update(id).digest('hex').slice(0, 32)}\n`,
  }
}

/**
 * Writes them into the box's root file system, so that they lie on the box's disk and root in the box may change them. Call only while
 * nothing runs in the box: then what is checked here stays as it is. Never follows a link that the box may have laid.
 */
export async function writeEtcFiles(
  rootfs: string,
  owner: number,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const etc = join(rootfs, 'etc')
  const there = await statIfThere(etc)
  if (there === undefined) await mkdir(etc, { mode: 0o755 })
  else if (!there.isDirectory()) return
  await Promise.all(
    Object.entries(files).map(async ([name, text]) => {
      const path = join(etc, name)
      if ((await statIfThere(path))?.isDirectory()) return
      await rm(path, { force: true })
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
      const handle = await open(path, flags, 0o644)
      try {
        await handle.chown(owner, owner)
        await handle.writeFile(text)
      } finally {
        await handle.close()
      }
    }),
  )
}

/** The same files by their paths below the root file system. */
export const inEtc = (files: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [join('etc', name), text]))

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
