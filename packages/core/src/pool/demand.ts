export interface DemandPolicy {
  /** What was wanted longer ago is forgotten. Milliseconds. */
  readonly windowMs: number
  /** As many spares are kept as were ever wanted within a time so long: about what it takes to make them again. */
  readonly burstMs: number
}

/** How many boxes of each making were wanted lately. */
export interface Demand {
  note(key: string, now: number): void
  /** The most that were wanted within one burst, by key, the latest wanted key first. */
  peaks(now: number): Map<string, number>
}

/** Times that are kept for each key: more than any pool is large. */
const keptTimes = 512

export function createDemand({ windowMs, burstMs }: DemandPolicy): Demand {
  const times = new Map<string, number[]>()
  return {
    note(key, now) {
      const noted = [...(times.get(key) ?? []), now].slice(-keptTimes)
      // Set anew, so that the map's order is that of the last wish.
      times.delete(key)
      times.set(key, noted)
    },
    peaks(now) {
      const peaks = new Map<string, number>()
      for (const [key, all] of [...times].toReversed()) {
        const recent = all.filter((time) => time > now - windowMs)
        if (recent.length === 0) times.delete(key)
        else peaks.set(key, peak(recent, burstMs))
      }
      return peaks
    },
  }
}

/** The most of the ascending times that lie within one span. */
function peak(times: readonly number[], span: number): number {
  let most = 0
  let first = 0
  for (const [index, time] of times.entries()) {
    while ((times[first] ?? time) <= time - span) first += 1
    most = Math.max(most, index - first + 1)
  }
  return most
}

/** Shares out `budget` spares: each key gets one while there is any, then the latest wanted keys all that they want. */
export function shareOut(wanted: ReadonlyMap<string, number>, budget: number): Map<string, number> {
  const shares = new Map<string, number>()
  let left = budget
  for (const [key, count] of wanted) {
    const first = Math.min(1, count, left)
    shares.set(key, first)
    left -= first
  }
  for (const [key, count] of wanted) {
    const first = shares.get(key) ?? 0
    const more = Math.min(count - first, left)
    shares.set(key, first + more)
    left -= more
  }
  return shares
}

/** The same wishes, but for those that are dear: they get no more than `most` spares together. */
export function limitDear(
  wanted: ReadonlyMap<string, number>,
  isDear: (key: string) => boolean,
  most: number,
): Map<string, number> {
  const dear = shareOut(new Map([...wanted].filter(([key]) => isDear(key))), most)
  return new Map([...wanted].map(([key, count]) => [key, dear.get(key) ?? count]))
}
