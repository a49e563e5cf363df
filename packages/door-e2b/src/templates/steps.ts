import { GibilError } from '@gibil/contract'
import type { ImageStep } from '@gibil/core'
import * as z from 'zod'
import { notDone } from '../errors.ts'

const text = z.string().max(200_000)

const Registry = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('registry'), username: text.min(1), password: text.min(1) }),
  z.looseObject({ type: z.literal('aws') }),
  z.looseObject({ type: z.literal('gcp') }),
])

const Step = z.object({
  type: z.string(),
  args: z.array(text).nullish(),
  force: z.boolean().nullish(),
  filesHash: z.string().nullish(),
})
type Step = z.infer<typeof Step>

/** What is built, as SDKs send it. Steps hold options of the client too, which mean nothing here. */
export const StartBuild = z.strictObject({
  fromImage: z.string().min(1).max(300).nullish(),
  fromTemplate: z.string().min(1).max(300).nullish(),
  fromImageRegistry: Registry.nullish(),
  steps: z.array(Step).max(500).nullish(),
  startCmd: text.nullish(),
  readyCmd: text.nullish(),
  force: z.boolean().nullish(),
})
export type StartBuild = z.infer<typeof StartBuild>

export type Credentials = { readonly username: string; readonly password: string }

/** Undefined: none were given. Throws `unsupported_by_door` for those of clouds. */
export function credentialsOf({ fromImageRegistry: given }: StartBuild): Credentials | undefined {
  if (!given) return undefined
  if (given.type === 'registry') return { username: given.username, password: given.password }
  throw notDone(`A registry of the kind "${given.type}"`, 'Give a user name and a password of the registry.')
}

/** The first step that earlier builds do not count for: 0 is the base, and one after the last is none. */
export function freshFrom({ force, steps }: StartBuild): number {
  if (force) return 0
  const forced = (steps ?? []).findIndex((step) => step.force)
  return forced < 0 ? (steps ?? []).length + 1 : forced + 1
}

/** Throws `invalid_request`, and `unsupported_by_door` for steps that nobody here has heard of. `archiveOf`: where uploaded files are. */
export function stepsOf({ steps }: StartBuild, archiveOf: (hash: string) => string): ImageStep[] {
  return (steps ?? []).map((step, at) => stepOf(step, at + 1, archiveOf))
}

function stepOf({ type, args, filesHash }: Step, number: number, archiveOf: (hash: string) => string): ImageStep {
  const [first = '', second = '', third = '', fourth = ''] = args ?? []
  const needs = (...values: string[]): void => {
    if (values.includes('')) throw new GibilError('invalid_request', `steps.${number}: ${type} lacks an argument.`)
  }
  switch (type) {
    case 'RUN':
      needs(first)
      return { kind: 'run', command: first, user: second || undefined }
    case 'COPY': {
      needs(first, second, filesHash ?? '')
      const mode = fourth === '' ? undefined : Number.parseInt(fourth, 8)
      if (mode !== undefined && !/^[0-7]{3,4}$/.test(fourth))
        throw new GibilError('invalid_request', `steps.${number}: "${fourth.slice(0, 20)}" is no mode in octal digits.`)
      const archive = archiveOf(filesHash ?? '')
      return { kind: 'copy', archive, source: first, target: second, user: third || undefined, mode }
    }
    case 'ENV': {
      const all = args ?? []
      const pairs = all.flatMap((name, at) => (at % 2 === 0 ? [[name, all[at + 1] ?? ''] as const] : []))
      for (const [name] of pairs) {
        if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
          throw new GibilError('invalid_request', `steps.${number}: "${name.slice(0, 80)}" is no name of a variable.`)
      }
      return { kind: 'env', values: Object.fromEntries(pairs) }
    }
    case 'WORKDIR':
      needs(first)
      return { kind: 'workdir', path: first }
    case 'USER':
      needs(first)
      return { kind: 'user', name: first }
    default:
      throw notDone(`The step "${type.slice(0, 40)}" of a template`)
  }
}

/** What a step says of itself in logs and errors. */
export function wordsOf({ type, args }: Step): string {
  const words = `${type} ${(args ?? []).filter(Boolean).join(' ')}`.split('\n')[0] ?? ''
  return words.length > 200 ? `${words.slice(0, 197)}...` : words
}

/** Why a step failed, in the words of E2B where SDKs know them. */
export function failureOf(step: Step | undefined, cause: unknown): string {
  const why = GibilError.is(cause) || cause instanceof Error ? cause.message : String(cause)
  if (step?.type !== 'RUN') return step ? `failed to do '${wordsOf(step)}': ${why}` : why
  const [command = '', user = ''] = step.args ?? []
  const isUser = GibilError.is(cause) && cause.code === 'user_not_found'
  const reason = isUser ? `unauthenticated: invalid username: '${user}'` : why
  return `failed to run command '${command}': command failed: ${reason}`
}
