/** Whichever of some names was most likely meant by one that is none of them; undefined when none is near: a third of it, at most 3 changes. */
export function nearestOf(given: string, names: Iterable<string>): string | undefined {
  const most = Math.min(3, Math.max(1, Math.floor(given.length / 3)))
  let best: { readonly name: string; readonly changes: number } | undefined
  for (const name of names) {
    if (Math.abs(name.length - given.length) > most) continue
    const changes = changesBetween(given, name)
    if (changes <= most && (best === undefined || changes < best.changes)) best = { name, changes }
  }
  return best?.name
}

/** Letters put in, left out, changed, or swapped with their neighbour: the distance of Damerau and Levenshtein, restricted to one edit of a place. */
function changesBetween(one: string, other: string): number {
  let before: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= other.length; j += 1) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same)
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      if (swapped) least = Math.min(least, (before[j - 2] ?? 0) + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return last[other.length] ?? 0
}
