/**
 * `.dockerignore`: patterns from the root of the context, the last that matches decides, `!` takes back. Not git's rules: there a
 * pattern without a slash counts at every depth, and nothing below an ignored folder can be taken back.
 */
export type Ignores = (path: string) => boolean

/** A Go file pattern (`*`, `?`, `[a-z]`, and `**` for any depth) as a regular expression over a relative path. */
export const patternToRegExp = (pattern: string): RegExp => {
  let source = ''
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at] ?? ''
    if (pattern.startsWith('**', at)) {
      const slash = pattern[at + 2] === '/'
      source += slash ? '(?:.*/)?' : '.*'
      at += slash ? 2 : 1
    } else if (char === '*') source += '[^/]*'
    else if (char === '?') source += '[^/]'
    else if (char === '[') {
      const close = pattern.indexOf(']', at + 2)
      const set = close < 0 ? undefined : pattern.slice(at + 1, close)
      source +=
        set === undefined
          ? '\\['
          : `[${set.startsWith('^') ? '^' : ''}${set.replace(/^\^/, '').replace(/[\\[\]^]/g, '\\$&')}]`
      if (set !== undefined) at = close
    } else if (char === '\\' && at + 1 < pattern.length) {
      source += (pattern[at + 1] ?? '').replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
      at += 1
    } else source += char.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  }
  return new RegExp(`^${source}$`, 's')
}

/** Reads a `.dockerignore`. The answer is for a path relative to the context, with `/` between its parts. */
export const readIgnores = (text: string): Ignores => {
  const rules = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const takesBack = line.startsWith('!')
      const parts = (takesBack ? line.slice(1) : line)
        .trim()
        .split('/')
        .filter((part) => part !== '' && part !== '.')
      return { takesBack, pattern: patternToRegExp(parts.join('/')), isEmpty: parts.length === 0 }
    })
    .filter((rule) => !rule.isEmpty)
  return (path) => {
    const parts = path.split('/')
    const withParents = parts.map((_, depth) => parts.slice(0, depth + 1).join('/'))
    return rules.reduce(
      (ignored, rule) => (withParents.some((one) => rule.pattern.test(one)) ? !rule.takesBack : ignored),
      false,
    )
  }
}
