import { open } from 'node:fs/promises'
import { GibilError } from '@gibil/contract'
import { errnoOf } from './files.ts'
import { scopedPath } from './scoped-path.ts'

const maxFile = 1024 * 1024

/** A file of an image as text, or undefined when it is not there or not a regular file of at most 1 MiB. */
const readInImage = async (root: string, path: string): Promise<string | undefined> => {
  try {
    const handle = await open(await scopedPath(root, path), 'r')
    try {
      const stat = await handle.stat()
      return stat.isFile() && stat.size <= maxFile ? await handle.readFile('utf8') : undefined
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}

interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

interface Group {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

export interface UserDatabase {
  readonly accounts: readonly Account[]
  readonly groups: readonly Group[]
}

const records = (text: string | undefined): string[][] =>
  (text ?? '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'))

const isId = (text: string): boolean => /^[0-9]{1,10}$/.test(text) && Number(text) < 2 ** 31

/** The users and groups of an image. */
export const readUsers = async (root: string): Promise<UserDatabase> => ({
  accounts: records(await readInImage(root, '/etc/passwd'))
    .filter(([, , uid = '', gid = '']) => isId(uid) && isId(gid))
    .map(([name = '', , uid, gid, , home]) => ({ name, uid: Number(uid), gid: Number(gid), home: home || '/' })),
  groups: records(await readInImage(root, '/etc/group'))
    .filter(([, , gid = '']) => isId(gid))
    .map(([name = '', , gid, members]) => ({
      name,
      gid: Number(gid),
      members: (members ?? '').split(',').filter(Boolean),
    })),
})

export interface Identity {
  readonly uid: number
  readonly gid: number
  /** Further groups. */
  readonly groups: readonly number[]
  readonly home: string
}

/** Reads `user`, `uid`, `user:group`, `uid:gid`. Throws `user_not_found`. */
export const identify = (users: UserDatabase, text: string): Identity => {
  const [user = '', group] = text.split(':')
  const account =
    users.accounts.find((one) => one.name === user) ??
    users.accounts.find((one) => isId(user) && one.uid === Number(user))
  if (!account && !isId(user)) throw new GibilError('user_not_found', `The image has no user ${JSON.stringify(user)}.`)
  const named = group === undefined || group === '' ? undefined : users.groups.find((one) => one.name === group)
  if (group && !named && !isId(group))
    throw new GibilError('user_not_found', `The image has no group ${JSON.stringify(group)}.`)
  const gid = named?.gid ?? (group ? Number(group) : (account?.gid ?? 0))
  // As Docker does: further groups only when none is named.
  const groups =
    account && !group ? users.groups.filter((one) => one.members.includes(account.name)).map((one) => one.gid) : []
  return { uid: account?.uid ?? Number(user), gid, groups, home: account?.home ?? '/' }
}
