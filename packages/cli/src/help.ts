import type { Verb } from './verb.ts'

const examples = `Examples:
  gibil create --name w --repo github.com/you/project --ttl 90m
  gibil run w -- npm test
  gibil shell w
  gibil destroy w
`

/** The help of the whole program: every verb, in groups. */
export function topLevelHelp(verbs: readonly Verb[]): string {
  const shown = verbs.filter((verb) => !verb.hidden)
  const width = Math.max(...shown.map((verb) => verb.name.length)) + 2
  const groups = [...new Set(shown.map((verb) => verb.group))].map((group) => {
    const lines = shown
      .filter((verb) => verb.group === group)
      .map((verb) => `  ${verb.name.padEnd(width)}${verb.summary}`)
    return `${group}:\n${lines.join('\n')}\n`
  })
  return `Usage: gibil <verb> [options]

A Linux box of any shape, on your own machine.

${groups.join('\n')}
Every verb takes --help, --json and --home <dir> (else GIBIL_HOME).

${examples}`
}
