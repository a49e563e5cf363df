import type { AwakeReason, Box, Job } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { BoxdAccess } from '../plane/boxd-access.ts'
import type { Drivers } from '../plane/drivers.ts'
import type { Clock } from '../ports/clock.ts'
import { isServiceLabel } from '../setup/services.ts'
import { within } from '../util/timing.ts'
import type { Activity } from './activity.ts'

/** What keeps boxes from being idle: set-up and connections, which the daemon knows, and commands and work, for which it looks now and then. */
export interface Awake {
  /** Whether idleness is looked for: the box runs, has an idle limit, and nothing that the daemon knows of uses it. */
  isWatched(record: BoxRecord): boolean
  /** When the next look at a watched box is due. */
  nextLook(record: BoxRecord): number
  /** Looks whether a watched box has worked since the last look, and counts that as activity. Never throws. */
  look(record: BoxRecord): Promise<void>
  /** Connections or the state of the box have changed: what was found before says nothing of what comes. */
  changed(record: BoxRecord): void
  /** When it was last used; when it was made or started if it never was. */
  lastUse(record: BoxRecord): number
  view(record: BoxRecord): Box['awake']
  forget(id: string): void
}

interface AwakeDeps {
  readonly activity: Activity
  readonly boxd: BoxdAccess
  readonly drivers: Drivers
  readonly clock: Clock
  readonly isSetUp: (id: string) => boolean
}

/**
 * A box that takes more of one processor than this share works. An idle microvm, with Docker in it and emulated, takes 0.9 %, a container nothing; a loop
 * takes all.
 */
const busyShare = 0.05
/** Time between looks: a tenth of the limit within these bounds. */
const looks = { shortestMs: 1000, longestMs: 60_000 }
/** Over less time processor time says little. */
const leastMs = 500
/** boxd may take so long to name its commands. */
const askMs = 500

interface Known {
  /** Awake without a pause since then. */
  since: number | undefined
  lookAt: number | undefined
  cpu: { readonly at: number; readonly ms: number } | undefined
  found: readonly AwakeReason[]
}

export function createAwake({ activity, boxd, drivers, clock, isSetUp }: AwakeDeps): Awake {
  const boxes = new Map<string, Known>()
  const known = (id: string): Known => {
    const found = boxes.get(id) ?? { since: undefined, lookAt: undefined, cpu: undefined, found: [] }
    boxes.set(id, found)
    return found
  }
  const runs = ({ status, desired }: BoxRecord): boolean => status === 'running' && desired === 'running'
  const usedBy = ({ id }: BoxRecord): AwakeReason[] => [
    ...(isSetUp(id) ? (['setup'] as const) : []),
    ...(activity.isOpen(id) ? (['connection'] as const) : []),
  ]
  const lastUse = ({ id, lastActiveAt, startedAt, createdAt }: BoxRecord): number =>
    Math.max(activity.last(id) ?? 0, lastActiveAt ?? startedAt ?? createdAt)
  const isWatched = (record: BoxRecord): boolean =>
    record.idleMs !== null && runs(record) && usedBy(record).length === 0

  /** Whether a command of a user runs, and when the last one ended; 0 where none is known. Services do not count. */
  const commandsOf = async (record: BoxRecord): Promise<{ run: boolean; last: number }> => {
    const ask = boxd.of({ ...record, startedAt: 0 }).jobs()
    const all = await within(clock, askMs, 'Asking for commands', ask).catch((): readonly Job[] => [])
    const jobs = all.filter(({ label }) => !isServiceLabel(label) && label !== 'beforeExpire')
    const now = clock.now()
    const ends = jobs.map(({ exit, startedAt }) => (exit ? Date.parse(startedAt) + exit.durationMs : now))
    // A box may say anything about its time; the future it cannot have.
    const last = Math.max(0, ...ends.filter(Number.isFinite).map((end) => Math.min(now, end)))
    return { run: jobs.some(({ exit }) => exit === null), last }
  }

  /** Whether it has worked since the last look. Unknown to drivers that cannot tell, at the first look, and once it has started anew. */
  const hasWorked = async (record: BoxRecord, before: Known['cpu']): Promise<boolean> => {
    const now = clock.now()
    if (before && now - before.at < leastMs) return known(record.id).found.includes('cpu')
    const ms = await drivers.for(record).cpuMs?.(record.id)
    known(record.id).cpu = ms === undefined ? undefined : { at: now, ms }
    return before !== undefined && ms !== undefined && (ms - before.ms) / (now - before.at) >= busyShare
  }

  return {
    isWatched,
    lastUse,
    nextLook({ id }) {
      const box = known(id)
      box.lookAt ??= clock.now() + looks.shortestMs
      return box.lookAt
    },
    async look(record) {
      const { id } = record
      const box = known(id)
      const [{ run, last }, works] = await Promise.all([
        commandsOf(record),
        hasWorked(record, box.cpu).catch(() => false),
      ])
      const now = clock.now()
      box.lookAt = now + Math.min(looks.longestMs, Math.max(looks.shortestMs, (record.idleMs ?? 0) / 10))
      box.found = [...(run ? (['command'] as const) : []), ...(works ? (['cpu'] as const) : [])]
      if (box.found.length > 0) box.since ??= now
      else if (!activity.isOpen(id)) box.since = undefined
      const used = run || works ? now : last
      if (used > (activity.last(id) ?? 0)) activity.touch(id, used)
    },
    changed(record) {
      if (isWatched(record)) return
      const box = known(record.id)
      Object.assign(box, { lookAt: undefined, cpu: undefined, found: [] } satisfies Partial<Known>)
      box.since = usedBy(record).length > 0 ? (box.since ?? clock.now()) : undefined
    },
    view(record) {
      if (!runs(record)) return null
      const { since, found } = known(record.id)
      const because = [...usedBy(record), ...found]
      const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString())
      const sleeps = because.length === 0 && record.idleMs !== null
      return {
        because,
        since: because.length > 0 ? iso(since ?? activity.inUse(record.id).since ?? undefined) : null,
        idleEndsAt: iso(sleeps ? lastUse(record) + (record.idleMs ?? 0) : undefined),
      }
    },
    forget: (id) => void boxes.delete(id),
  }
}
