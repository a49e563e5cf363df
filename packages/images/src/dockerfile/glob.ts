/** One step of a pattern: one character that fits, or any number of them. */
type Step =
  | { readonly kind: 'one'; readonly fits: (char: string) => boolean }
  /** `*`: any characters but `/`. */
  | { readonly kind: 'name' }
  /** `**`: any characters. */
  | { readonly kind: 'deep' }
  /** A `**` with its slash: nothing, or any characters that end with a `/`. */
  | { readonly kind: 'folders' }

const only = (wanted: string): Step => ({ kind: 'one', fits: (char) => char === wanted })

/** The characters of `[…]`: single ones and ranges, `^` first for all others. A range that runs backwards holds none. */
function setOf(inner: readonly string[]): Step {
  const negated = inner[0] === '^'
  const chars = negated ? inner.slice(1) : inner
  const ranges: (readonly [number, number])[] = []
  for (let at = 0; at < chars.length; at += 1) {
    const first = codeOf(chars[at])
    const isRange = chars[at + 1] === '-' && at + 2 < chars.length
    ranges.push([first, isRange ? codeOf(chars[at + 2]) : first])
    if (isRange) at += 2
  }
  const holds = (code: number): boolean => ranges.some(([from, to]) => from <= code && code <= to)
  return { kind: 'one', fits: (char) => holds(codeOf(char)) !== negated }
}

const codeOf = (char = ''): number => char.codePointAt(0) ?? 0

function stepsOf(pattern: string): Step[] {
  const chars = Array.from(pattern)
  const steps: Step[] = []
  for (let at = 0; at < chars.length; at += 1) {
    const [char = '', second, third] = chars.slice(at, at + 3)
    const close = char === '[' ? chars.indexOf(']', at + 2) : -1
    if (char === '*' && second === '*') {
      steps.push({ kind: third === '/' ? 'folders' : 'deep' })
      at += third === '/' ? 2 : 1
    } else if (char === '*') steps.push({ kind: 'name' })
    else if (char === '?') steps.push({ kind: 'one', fits: (other) => other !== '/' })
    else if (close >= 0) {
      steps.push(setOf(chars.slice(at + 1, close)))
      at = close
    } else if (char === '\\' && second !== undefined) {
      steps.push(only(second))
      at += 1
    } else steps.push(only(char))
  }
  return steps
}

/** A place in a pattern: before a step, or `within` a `**` that has taken something and must come to a slash. */
interface Places {
  readonly before: Set<number>
  readonly within: Set<number>
}

/**
 * A Go file pattern (`*`, `?`, `[a-z]`, and `**` for any depth) over a relative path. All ways to read the path are followed side by
 * side, since a regular expression made of a hostile pattern can take for ever.
 */
export function fileMatcher(pattern: string): (path: string) => boolean {
  const steps = stepsOf(pattern)
  const nowhere = (): Places => ({ before: new Set(), within: new Set() })
  /** Adds a place and those that are reached from it by nothing. */
  const enter = ({ before }: Places, place: number): void => {
    for (let at = place; !before.has(at); at += 1) {
      before.add(at)
      if (at >= steps.length || steps[at]?.kind === 'one') return
    }
  }
  const take = (places: Places, char: string): Places => {
    const next = nowhere()
    for (const place of places.before) {
      const step = steps[place]
      if (step?.kind === 'one') {
        if (step.fits(char)) enter(next, place + 1)
      } else if (step?.kind === 'deep' || (step?.kind === 'name' && char !== '/')) enter(next, place)
    }
    for (const place of [...places.before, ...places.within]) {
      if (steps[place]?.kind !== 'folders') continue
      next.within.add(place)
      if (char === '/') enter(next, place + 1)
    }
    return next
  }
  return (path) => {
    let places = nowhere()
    enter(places, 0)
    for (const char of path) places = take(places, char)
    return places.before.has(steps.length)
  }
}
