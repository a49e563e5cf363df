import type { BoxRecord } from '../box-record.ts'
import type { DriverSpec, ResolvedImage } from '../ports/driver.ts'

/**
 * When others may destroy a box, in seconds since the epoch. The daemon does so at that time, and nobody may before; null: its lease is not to destroy it.
 */
export const deadlineOfSpec = ({ expiresAt, onExpire }: Pick<BoxRecord, 'expiresAt' | 'onExpire'>): number | null =>
  expiresAt === null || onExpire !== 'destroy' ? null : Math.ceil(expiresAt / 1000)

/** How a driver is told of a box. What only a cloud asks for is not said here: a box of this machine is made anew when its spec is another. */
export const toSpec = (record: BoxRecord, image: ResolvedImage): DriverSpec => ({
  id: record.id,
  hostname: record.name,
  image,
  size: record.size,
  network: record.network,
  ...(record.egress === undefined ? {} : { egress: record.egress }),
  isolation: record.isolation,
  ...(record.volumes?.length ? { volumes: record.volumes.map(({ id, path }) => ({ id, path })) } : {}),
  labels: record.labels,
  ...(record.from === null ? {} : { from: record.from }),
  ...(record.cloudInit === undefined ? {} : { cloudInit: record.cloudInit }),
  ...(record.provider === 'local'
    ? {}
    : { name: record.name, owner: record.owner, deadline: deadlineOfSpec(record), cloud: record.cloudWish ?? {} }),
})
