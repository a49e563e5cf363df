import { posix } from 'node:path'
import type { ImageConfig } from '../manifest.ts'
import type { Instruction } from './parse.ts'
import { lookupIn, type Stage, stageShell } from './stage.ts'
import { expand, pairs, SyntaxProblem, splitWords } from './words.ts'

/** What builds are told from outside. */
export interface BuildArguments {
  /** Given with the build. */
  readonly given: Readonly<Record<string, string>>
  /** Set by ARG before the first FROM, and what the platform says. */
  readonly globals: Readonly<Record<string, string>>
}

const withConfig = (stage: Stage, change: Partial<ImageConfig>): Stage => ({
  ...stage,
  config: { ...stage.config, ...change },
})

/** A path of WORKDIR or COPY, from the stage's working directory. */
export const pathIn = (stage: Stage, path: string): string => {
  const full = posix.resolve('/', stage.config.workdir ?? '/', path)
  return path.endsWith('/') && full !== '/' ? `${full}/` : full
}

/** Takes ARG into a stage: the value given with the build, else its own, else that of the ARG before FROM. */
export const readArgument = (
  text: string,
  stage: Stage,
  escapeChar: string,
  outside: BuildArguments,
): Readonly<Record<string, string>> => {
  let args = stage.args
  for (const word of splitWords(text, escapeChar)) {
    const at = word.indexOf('=')
    const name = at < 0 ? word : word.slice(0, at)
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new SyntaxProblem(`${name} cannot be the name of an argument.`)
    const own = at < 0 ? undefined : expand(word.slice(at + 1), lookupIn({ ...stage, args }), escapeChar)
    const value = outside.given[name] ?? own ?? outside.globals[name]
    if (value !== undefined) args = { ...args, [name]: value }
  }
  return args
}

/** Instructions that change the configuration only; undefined for the others. */
export const configure = (
  stage: Stage,
  instruction: Instruction,
  escapeChar: string,
  outside: BuildArguments,
): Stage | undefined => {
  const { config } = stage
  const { rest, json } = instruction
  const lookup = lookupIn(stage)
  const words = (): string[] =>
    json ? [...json] : splitWords(rest, escapeChar).map((word) => expand(word, lookup, escapeChar))
  const command = (): string[] => {
    if (rest.trim() === '') throw new SyntaxProblem('It names no command.')
    return json ? [...json] : [...stageShell(stage), rest.trim()]
  }
  const merge = (before: readonly string[], more: readonly string[]): string[] => [...new Set([...before, ...more])]
  switch (instruction.keyword) {
    case 'ENV':
      return withConfig(stage, { env: { ...config.env, ...Object.fromEntries(pairs(rest, lookup, escapeChar)) } })
    case 'LABEL':
      return withConfig(stage, { labels: { ...config.labels, ...Object.fromEntries(pairs(rest, lookup, escapeChar)) } })
    case 'ARG':
      return { ...stage, args: readArgument(rest, stage, escapeChar, outside) }
    case 'USER': {
      const user = expand(rest.trim(), lookup, escapeChar)
      if (!/^[^\s:]+(:[^\s:]+)?$/.test(user)) throw new SyntaxProblem(`${JSON.stringify(user)} is not a user.`)
      return withConfig(stage, { user })
    }
    case 'EXPOSE':
      return withConfig(stage, {
        exposedPorts: merge(
          config.exposedPorts,
          words().map((port) => (port.includes('/') ? port : `${port}/tcp`)),
        ),
      })
    case 'VOLUME':
      return withConfig(stage, { volumes: merge(config.volumes, words()) })
    case 'CMD':
      return withConfig(stage, { cmd: command() })
    case 'ENTRYPOINT':
      // As Docker does: the CMD of the base image was for its own ENTRYPOINT.
      return withConfig(stage, { entrypoint: command(), cmd: null })
    case 'SHELL':
      if (!json || json.length === 0) throw new SyntaxProblem('It must be written as ["shell", "option"].')
      return withConfig(stage, { shell: [...json] })
    case 'STOPSIGNAL':
    case 'HEALTHCHECK':
    case 'MAINTAINER':
      return stage
    default:
      return undefined
  }
}
