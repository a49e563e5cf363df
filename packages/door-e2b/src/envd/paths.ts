import { buffer } from 'node:stream/consumers'
import type { BoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { SandboxCall } from './call.ts'

/**
 * A path as boxd takes it. Relative ones, and those with `~`, begin at the home of the user who is asked for; nothing at all is that home.
 * Throws `user_not_found`.
 */
export async function resolvePath(
  path: string,
  call: Pick<SandboxCall, 'user' | 'box'>,
  boxd: BoxdClient,
): Promise<string> {
  const { user, box } = call
  const own = path === '' ? '~' : path
  if (user === undefined || user === box.user) return own
  const home = await homeOf(user, boxd)
  if (own.startsWith('/')) return own
  return own === '~' || own.startsWith('~/') ? `${home}${own.slice(1)}` : `${home}/${own}`
}

async function homeOf(user: string, boxd: BoxdClient): Promise<string> {
  const { body } = await boxd.readFile('/etc/passwd')
  const line = (await buffer(body))
    .toString()
    .split('\n')
    .find((text) => text.startsWith(`${user}:`))
  const home = line?.split(':')[5]
  if (!home) throw new GibilError('user_not_found', `There is no user "${user.slice(0, 80)}".`)
  return home.replace(/\/+$/, '')
}
