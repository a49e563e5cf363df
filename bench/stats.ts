/** What the public benchmark of hosted sandboxes (ComputeSDK) makes of its samples: so our numbers can stand beside its. */
export interface Summary {
  readonly count: number
  readonly failed: number
  /** Milliseconds, after the lowest and highest 5 % are dropped. */
  readonly median: number
  /** Nearest rank, of the same trimmed samples. */
  readonly p95: number
  readonly p99: number
  readonly min: number
  readonly max: number
  /** 0 to 1. */
  readonly successRate: number
  /** 0 to 100: 60 % median, 25 % p95, 15 % p99, each 100 at 0 ms and 0 at 10 s, times the success rate. */
  readonly score: number
}

const trimShare = 0.05
const worstMs = 10_000

export function summarize(samples: readonly number[], failed = 0): Summary {
  const sorted = samples.toSorted((a, b) => a - b)
  const cut = Math.floor(sorted.length * trimShare)
  const kept = sorted.slice(cut, sorted.length - cut)
  const count = samples.length + failed
  const successRate = count === 0 ? 0 : samples.length / count
  const [middle, p95, p99] = [median(kept), nearestRank(kept, 0.95), nearestRank(kept, 0.99)]
  const points = (ms: number): number => Math.max(0, 100 * (1 - ms / worstMs))
  const score =
    samples.length === 0 ? 0 : (0.6 * points(middle) + 0.25 * points(p95) + 0.15 * points(p99)) * successRate
  return {
    count,
    failed,
    median: middle,
    p95,
    p99,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    successRate,
    score,
  }
}

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  if (sorted.length % 2 === 1) return upper
  return (upper + (sorted[sorted.length / 2 - 1] ?? Number.NaN)) / 2
}

function nearestRank(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}
