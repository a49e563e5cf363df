import type {
  Failure,
  Lease,
  NetworkPolicy,
  PhaseTime,
  Provider,
  Readiness,
  Repo,
  Shape,
  Size,
  Status,
} from '@gibil/contract'

/** What the user wants the box to be; the reconciler makes it so. */
export type Desired = 'running' | 'paused' | 'stopped' | 'gone'

/** A box as the store keeps it. Times are milliseconds since the epoch. Holds no credentials for repositories. */
export interface BoxRecord {
  readonly id: string
  readonly name: string
  readonly shape: Shape
  readonly provider: Provider
  /** As asked for, and the digest that it meant at creation. */
  readonly image: string
  readonly imageDigest: string
  readonly size: Size
  readonly desired: Desired
  readonly status: Status
  readonly readiness: Readiness
  readonly failure: Failure | null
  readonly user: string
  readonly env: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly fleet: string | null
  readonly network: NetworkPolicy
  readonly address: string | null
  readonly ports: readonly number[]
  readonly repo: (Repo & { readonly upload: boolean }) | null
  readonly ttlMs: number | null
  readonly expiresAt: number | null
  readonly idleMs: number | null
  readonly onExpire: Lease['onExpire']
  readonly expiryWarned: boolean
  readonly createdAt: number
  readonly startedAt: number | null
  readonly lastActiveAt: number | null
  readonly timings: readonly PhaseTime[]
}
