import { setTimeout as sleep } from 'node:timers/promises'
import type { Box, Metrics } from '@gibil/contract'
import * as z from 'zod'
import { parsed } from './control/body.ts'
import { allSandboxes } from './control/sandboxes.ts'
import type { DoorDeps } from './deps.ts'

/** What one sandbox used at one time. Bytes; per cent of one processor. */
export interface Sample {
  readonly timestamp: string
  readonly timestampUnix: number
  readonly cpuCount: number
  readonly cpuUsedPct: number
  readonly memUsed: number
  readonly memTotal: number
  readonly memCache: number
  readonly diskUsed: number
  readonly diskTotal: number
}

export interface MetricsLog {
  /** Throws `invalid_request`. `start` and `end` in seconds since the epoch, both included. */
  of(boxId: string, query: Record<string, string>): readonly Sample[]
}

const everyMs = 5000
/** An hour of them. */
const kept = 720
const mib = 1024 * 1024

const Range = z.object({ start: z.coerce.number().optional(), end: z.coerce.number().optional() })

/** Looks at every running sandbox each five seconds until the daemon stops. What it saw is in memory, and gone with the daemon. */
export function keepMetrics({
  control,
  boxd,
  stopping,
  ready,
  log,
}: Omit<DoorDeps, 'settings' | 'secret'>): MetricsLog {
  const samples = new Map<string, Sample[]>()
  const look = async (): Promise<void> => {
    const all = await allSandboxes(control())
    const known = new Set(all.map(({ box }) => box.id))
    for (const id of samples.keys()) if (!known.has(id)) samples.delete(id)
    const running = all.filter(({ box }) => box.status === 'running')
    await Promise.allSettled(running.map(({ box }) => measure(box)))
  }
  const measure = async (box: Box): Promise<void> => {
    const metrics = await boxd(box.id, AbortSignal.any([stopping, AbortSignal.timeout(everyMs)]), {
      quiet: true,
    }).metrics()
    const own = samples.get(box.id) ?? []
    own.push(sampleOf(box, metrics, new Date()))
    samples.set(box.id, own.slice(-kept))
  }
  const keep = async (): Promise<void> => {
    await ready
    while (!stopping.aborted) {
      await look().catch((error) => log.warn({ err: error }, 'what sandboxes use could not be looked at'))
      await sleep(everyMs, undefined, { signal: stopping, ref: false }).catch(() => undefined)
    }
  }
  void keep().catch(() => undefined)
  return {
    of(boxId, query) {
      const { start = 0, end = Number.POSITIVE_INFINITY } = parsed(Range, query)
      return (samples.get(boxId) ?? []).filter(({ timestampUnix }) => timestampUnix >= start && timestampUnix <= end)
    },
  }
}

/** The cache is none that counts: what boxd tells is without it. */
export function sampleOf({ size }: Box, metrics: Metrics, at: Date): Sample {
  return {
    timestamp: at.toISOString(),
    timestampUnix: Math.floor(at.getTime() / 1000),
    cpuCount: Math.max(1, Math.round(size.cpu)),
    cpuUsedPct: metrics.cpuPercent,
    memUsed: metrics.memoryBytes,
    memTotal: metrics.memoryLimitBytes ?? size.memoryMib * mib,
    memCache: 0,
    diskUsed: metrics.diskBytes,
    diskTotal: metrics.diskLimitBytes,
  }
}
