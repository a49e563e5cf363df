import { GibilError } from '@gibil/contract'
import type { CallOptions } from './client/client.ts'
import type { ApiServer } from './client/schemas.ts'
import type { Context } from './context.ts'
import { labelNames, ofBox } from './labels.ts'

/** The server of a box of this home, if it has one. Throws `box_elsewhere` when another home has adopted it. */
export async function findServer(
  { client, home }: Pick<Context, 'client' | 'home'>,
  id: string,
  { signal, patienceMs }: CallOptions = {},
): Promise<ApiServer | undefined> {
  const [server] = await client.list('servers', { label_selector: ofBox(id) }, { signal, patienceMs })
  const other = server?.labels[labelNames.home] ?? home
  if (other === home) return server
  throw new GibilError('box_elsewhere', `Box ${id} was adopted by another home (${other}).`)
}

export function addressOf({ public_net, name }: ApiServer): string {
  const address = public_net.ipv4?.ip
  if (address === undefined) throw new GibilError('cloud_failed', `The server ${name} has no public IPv4 address.`)
  return address
}
