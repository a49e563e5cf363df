import { fileMatcher } from './glob.ts'

/**
 * `.dockerignore`: patterns from the root of the context, the last that matches decides, `!` takes back. Not git's rules: there a
 * pattern without a slash counts at every depth, and nothing below an ignored folder can be taken back.
 */
export type Ignores = (path: string) => boolean

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
      return { takesBack, matches: fileMatcher(parts.join('/')), isEmpty: parts.length === 0 }
    })
    .filter((rule) => !rule.isEmpty)
  return (path) => {
    const parts = path.split('/')
    const withParents = parts.map((_, depth) => parts.slice(0, depth + 1).join('/'))
    return rules.reduce(
      (ignored, rule) => (withParents.some((one) => rule.matches(one)) ? !rule.takesBack : ignored),
      false,
    )
  }
}
