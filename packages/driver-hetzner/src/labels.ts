import type { DriverSpec } from '@gibil/core'

/**
 * What a box says of itself at the cloud, and all that another machine has to go by. The names are ours by their prefix; a value is up to 63 characters
 * of A-Z, a-z, 0-9, `-`, `_` and `.` (https://docs.hetzner.cloud, labels), so times are in seconds since 1970.
 */
export const labelNames = {
  boxId: 'gibil/box-id',
  name: 'gibil/name',
  owner: 'gibil/owner',
  home: 'gibil/home',
  /** The machine of that home, for people. */
  host: 'gibil/host',
  image: 'gibil/image',
  deadline: 'gibil/deadline',
  created: 'gibil/created',
  /** Start of a hash of the public key that the box admits: whoever derives another has another token. */
  key: 'gibil/key',
  /** Of a golden snapshot: the image that it is, and the recipe that it was made of. */
  golden: 'gibil/golden',
  recipe: 'gibil/recipe',
} as const

export type Labels = Readonly<Record<string, string>>

export interface BoxMarks {
  readonly home: string
  readonly host: string
  readonly key: string
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

export function labelsOf(spec: DriverSpec, { home, host, key, createdAt }: BoxMarks): Labels {
  const { name, owner, deadline } = spec
  return {
    [labelNames.boxId]: spec.id,
    [labelNames.name]: labelValue(name ?? spec.hostname),
    ...(owner === undefined || owner === null ? {} : { [labelNames.owner]: labelValue(owner) }),
    [labelNames.home]: home,
    [labelNames.host]: labelValue(host),
    [labelNames.image]: labelValue(spec.image.name),
    ...deadlineLabel(deadline ?? null),
    [labelNames.created]: String(Math.floor(createdAt / 1000)),
    [labelNames.key]: key,
  }
}

export const deadlineLabel = (deadline: number | null): Labels =>
  deadline === null ? {} : { [labelNames.deadline]: String(Math.floor(deadline)) }

/** Seconds since 1970; null when there is none, or none that can be read. */
export function deadlineOf(labels: Labels): number | null {
  const text = labels[labelNames.deadline] ?? ''
  return /^\d{1,12}$/.test(text) ? Number(text) : null
}

/** A text as the API takes it for a value: what does not fit becomes `_`. */
export function labelValue(text: string): string {
  return text
    .slice(0, 63)
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
}

/** Of a box: its server, key and firewall all have this name, which no other box ever gets, since no id is given twice. */
export const cloudName = (id: string): string => `gibil-${id}`

export const ofBox = (id: string): string => `${labelNames.boxId}=${id}`
