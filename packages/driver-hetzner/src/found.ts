import type { Size } from '@gibil/contract'
import type { FoundBox } from '@gibil/core'
import type { CatalogSource } from './catalog.ts'
import type { CallOptions } from './client/client.ts'
import type { ApiImage, ApiServer, ApiServerType } from './client/schemas.ts'
import { deadlineOf, labelNames } from './labels.ts'
import type { Links } from './links.ts'
import { savedOnName } from './power.ts'
import { statusOf, type Things, toDriverBox } from './survey.ts'

/** A box by what it says of itself, for whoever has nothing but the token. Undefined when there is neither server nor snapshot of it. */
export async function toFound(
  id: string,
  things: Things,
  { catalog, links }: { readonly catalog: CatalogSource; readonly links: Pick<Links, 'reaches'> },
  options: CallOptions,
): Promise<FoundBox | undefined> {
  const told = toldBy(things)
  // A machine that is only there to bake an image is no home's.
  if (told?.labels[labelNames.home] === undefined) return undefined
  const [server] = things.servers
  const { labels } = told
  const created = Number(labels[labelNames.created])
  const { address, cloud } = await toDriverBox(id, things, catalog, options)
  return {
    id,
    name: nameOf(id, things),
    owner: labels[labelNames.owner] ?? null,
    deadline: deadlineOf(labels),
    image: labels[labelNames.image] ?? '',
    status: server !== undefined && statusOf(server) === 'running' ? 'running' : 'stopped',
    size: server ? sizeOf(server.server_type) : await savedSize(things.images, catalog, options),
    address,
    cloud,
    createdAt: new Date(created > 0 ? created * 1000 : told.created).toISOString(),
    home: labels[labelNames.home] ?? '',
    host: labels[labelNames.host] ?? null,
    reachable: await links.reaches(id, labels[labelNames.key]),
  }
}

const toldBy = ({ servers, images }: Things): ApiServer | ApiImage | undefined => servers[0] ?? images[0]

export const nameOf = (id: string, things: Things): string => toldBy(things)?.labels[labelNames.name] ?? id

/** GB and GiB are told apart, as in a plan. */
const sizeOf = ({ cores, memory, disk }: Pick<ApiServerType, 'cores' | 'memory' | 'disk'>): Size => ({
  cpu: cores,
  memoryMib: Math.round(memory * 1024),
  diskMib: Math.floor((disk * 1e9) / 2 ** 20),
})

/** Of a box whose machine was given back: that of the machine. */
async function savedSize(images: readonly ApiImage[], catalog: CatalogSource, options: CallOptions): Promise<Size> {
  const { serverTypes } = await catalog.get({ maxAgeMs: 600_000, ...options })
  const type = serverTypes.find(({ name }) => name === images[0]?.labels[savedOnName])
  return sizeOf(type ?? { ...smallest, disk: images[0]?.disk_size ?? 1 })
}

const smallest = { cores: 1, memory: 1 }
