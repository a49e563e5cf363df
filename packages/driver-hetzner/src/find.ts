import { GibilError } from '@gibil/contract'
import type { CallOptions, Client } from './client/client.ts'
import type { ApiServer } from './client/schemas.ts'
import { ofBox } from './labels.ts'

export async function findServer(
  { client }: { readonly client: Client },
  id: string,
  { signal, patienceMs }: CallOptions = {},
): Promise<ApiServer | undefined> {
  const servers = await client.list('servers', { label_selector: ofBox(id) }, { signal, patienceMs })
  return servers[0]
}

export function addressOf({ public_net, name }: ApiServer): string {
  const address = public_net.ipv4?.ip
  if (address === undefined) throw new GibilError('cloud_failed', `The server ${name} has no public IPv4 address.`)
  return address
}
