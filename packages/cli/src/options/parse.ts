import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type ErrorCode, GibilError, parseDuration, parseMib } from '@gibil/sdk'

/** Checks a duration early and passes it on as it was written; `none` where that is allowed. */
export function duration(text: string, options: { readonly none?: boolean } = {}): string {
  if (!(options.none && text === 'none')) parseDuration(text)
  return text
}

export const milliseconds = (text: string): number => parseDuration(text)
export const mebibytes = (text: string): number => parseMib(text)

export function cpus(text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new GibilError('invalid_size', `"${text}" is not a number of cpus.`)
}

export function wholeNumber(text: string, what: string, least = 0): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value
  throw new GibilError('invalid_request', `"${text}" is not ${what}.`)
}

export function portNumber(text: string): number {
  const port = wholeNumber(text, 'a port', 1)
  if (port <= 65_535) return port
  throw new GibilError('invalid_request', `"${text}" is not a port: they go to 65535.`)
}

export function oneOf<T extends string>(
  text: string,
  choices: readonly T[],
  what: string,
  code: ErrorCode = 'invalid_request',
): T {
  const found = choices.find((choice) => choice === text)
  if (found !== undefined) return found
  throw new GibilError(code, `"${text}" is not ${what}.`, { hint: `Choose one of ${choices.join(', ')}.` })
}

/** For options that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]

/** `KEY=value`, or `KEY` alone for the value that the variable has here. */
export function environment(
  pairs: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const result: Record<string, string> = {}
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    const key = at === -1 ? pair : pair.slice(0, at)
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
      throw new GibilError('invalid_request', `"${key}" is not the name of a variable.`)
    const value = at === -1 ? env[key] : pair.slice(at + 1)
    if (value === undefined) {
      throw new GibilError('invalid_request', `${key} is not set here.`, { hint: `Give its value: --env ${key}=…` })
    }
    result[key] = value
  }
  return result
}

export function labels(pairs: readonly string[]): Record<string, string> {
  const entries = pairs.map((pair): [string, string] => {
    const at = pair.indexOf('=')
    if (at < 1)
      throw new GibilError('invalid_request', `"${pair}" is not a label.`, { hint: 'Write --label key=value.' })
    return [pair.slice(0, at), pair.slice(at + 1)]
  })
  return Object.fromEntries(entries)
}

/** `name:/path`, where the path is of the box. */
export function volumeMount(text: string): { volume: string; path: string } {
  const at = text.indexOf(':')
  if (at > 0) return { volume: text.slice(0, at), path: text.slice(at + 1) }
  throw new GibilError('invalid_request', `"${text}" is no volume with its place.`, {
    hint: 'Write --volume name:/path, such as --volume shared:/data.',
  })
}

/** Lines of `KEY=value`; empty lines, comments and a leading `export` are passed over, and quotes around a value are taken off. */
export async function environmentFile(path: string, cwd: string): Promise<Record<string, string>> {
  const text = await readFile(resolve(cwd, path), 'utf8').catch((error: unknown) => {
    throw new GibilError('invalid_request', `The env file ${path} cannot be read.`, {
      hint: 'Check the path.',
      cause: error,
    })
  })
  const result: Record<string, string> = {}
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*$/.exec(line)
    if (!match?.[1]) throw new GibilError('invalid_request', `Line ${index + 1} of ${path} is not KEY=value.`)
    result[match[1]] = (match[2] ?? '').replace(/^(["'])(.*)\1$/, '$2')
  }
  return result
}

/** The text of a set-up script. */
export async function scriptFile(path: string, cwd: string): Promise<string> {
  const text = await readFile(resolve(cwd, path), 'utf8').catch((error: unknown) => {
    throw new GibilError('invalid_request', `The set-up script ${path} cannot be read.`, {
      hint: 'Check the path.',
      cause: error,
    })
  })
  if (text.trim() !== '') return text
  throw new GibilError('invalid_request', `The set-up script ${path} is empty.`)
}
