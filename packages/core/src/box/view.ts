import { type Box, openEgress } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { Activity } from '../lease/activity.ts'
import { deadlineOfSpec as deadlineOf } from '../plane/spec.ts'
import { costOfBox } from './charges.ts'

const iso = (ms: number): string => new Date(ms).toISOString()
const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms))

/** A box as the doors see it. `activity`: how it is used now, where that matters. `awake`: of a box that runs. */
export function toBox(
  record: BoxRecord,
  now: number,
  activity?: Pick<Activity, 'last' | 'inUse'>,
  awake: Box['awake'] = null,
): Box {
  const { repo } = record
  const lastActiveAt = activity?.last(record.id) ?? record.lastActiveAt
  const unresponsiveSince = record.status === 'running' ? (record.unresponsiveSince ?? null) : null
  const { since = null, open } = activity?.inUse(record.id) ?? {}
  return {
    id: record.id,
    name: record.name,
    shape: record.shape,
    chosenBecause: record.chosenBecause ? [...record.chosenBecause] : null,
    provider: record.provider,
    image: record.image,
    size: record.size,
    status: record.status,
    readiness: record.readiness,
    failure: record.failure,
    onFailure: record.onFailure ?? 'restart',
    unresponsiveSince: isoOrNull(unresponsiveSince),
    waitsFor: unresponsiveSince === null ? null : (record.waitsFor ?? null),
    user: record.user,
    envNames: Object.keys(record.env).sort(),
    labels: record.labels,
    fleet: record.fleet,
    owner: record.owner,
    network: record.network,
    egress: record.egress ?? openEgress,
    isolation: record.isolation,
    volumes: (record.volumes ?? []).map(({ name, path }) => ({ volume: name, path })),
    address: record.address,
    cloud: cloudOf(record),
    cost: costOfBox(record, now),
    ports: [...record.ports],
    published: record.published.map(({ secret: _, ...port }) => port),
    repo: repo && {
      source: repo.source,
      path: repo.path,
      ...(repo.branch === undefined ? {} : { branch: repo.branch }),
      ...(repo.commit === undefined ? {} : { commit: repo.commit }),
    },
    lease: {
      ttlSeconds: record.ttlMs === null ? null : record.ttlMs / 1000,
      expiresAt: isoOrNull(record.expiresAt),
      idleSeconds: record.idleMs === null ? null : record.idleMs / 1000,
      onExpire: record.onExpire,
      onIdle: record.onIdle ?? record.onExpire,
      deadlineAtProvider:
        record.deadlineTold === undefined ? null : record.deadlineTold === deadlineOf(record) ? 'same' : 'pending',
    },
    parent: record.parent,
    createdAt: iso(record.createdAt),
    startedAt: isoOrNull(record.startedAt),
    lastActiveAt: isoOrNull(lastActiveAt),
    activity: {
      since: isoOrNull(since),
      commands: open?.command ?? 0,
      files: open?.file ?? 0,
      ports: open?.port ?? 0,
    },
    awake,
    timings: [...record.timings],
  }
}

function cloudOf({ cloud, address }: BoxRecord): Box['cloud'] {
  if (!cloud) return null
  const { serverType, location, arch, price } = cloud
  return { serverType, location, arch, address, price }
}
