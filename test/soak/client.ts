import { Gibil, GibilError } from '@gibil/sdk'
import type { SoakDaemon } from './daemon.ts'
import { SoakFailure } from './failure.ts'
import type { BoxModel } from './model.ts'
import type { Random } from './random.ts'

/** What a call gave: its answer, its refusal, or nothing since the daemon was killed meanwhile. */
type Outcome<T> =
  | { readonly is: 'answer'; readonly value: T }
  | { readonly is: 'refusal'; readonly error: GibilError }
  | { readonly is: 'cut'; readonly error: GibilError }

export interface Client {
  readonly number: number
  readonly random: Random
  readonly gibil: Gibil
  readonly daemon: SoakDaemon
  readonly boxes: BoxModel[]
  /** The call that is under way, and since when. */
  doing: { readonly what: string; readonly since: number } | undefined
  /** Calls by what they were, for the summary. */
  readonly counts: Map<string, number>
  /** Calls once. */
  ask<T>(of: Pick<BoxModel, 'name' | 'history' | 'note'>, what: string, call: () => Promise<T>): Promise<Outcome<T>>
  /** Calls until it is not cut off, for what may be repeated; a refusal fails the soak. */
  get<T>(of: Pick<BoxModel, 'name' | 'history' | 'note'>, what: string, call: () => Promise<T>): Promise<T>
  /** The same, when nothing but a refusal with this code is right. */
  refused(
    of: Pick<BoxModel, 'name' | 'history' | 'note'>,
    what: string,
    code: GibilError['code'],
    call: () => Promise<unknown>,
  ): Promise<void>
  handle(of: Pick<BoxModel, 'id'>): ReturnType<Gibil['box']>
}

/** What a call may fail with when its daemon is killed. */
const cutCodes: ReadonlySet<string> = new Set(['daemon_unreachable', 'interrupted'])

export function createClient(number: number, random: Random, daemon: SoakDaemon): Client {
  const gibil = Gibil.connect({ home: daemon.home.path })
  const counts = new Map<string, number>()

  const ask: Client['ask'] = async (of, what, call) => {
    const kind = what.split(' ')[0] ?? what
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    const before = daemon.kills
    const awayAtFirst = daemon.wasAwaySince(before)
    const doing = { what: `${of.name} ${what}`, since: Date.now() }
    client.doing = doing
    try {
      const value = await call()
      of.note(`${what}: ok`)
      return { is: 'answer', value }
    } catch (error) {
      if (!GibilError.is(error)) throw error
      of.note(`${what}: ${error.code} (${error.message})`)
      if (!cutCodes.has(error.code)) return { is: 'refusal', error }
      if (!awayAtFirst && !daemon.wasAwaySince(before)) {
        throw new SoakFailure(`${of.name}: ${what} was cut off, and nobody killed the daemon: ${error}`, of.history)
      }
      counts.set('(cut off)', (counts.get('(cut off)') ?? 0) + 1)
      await daemon.back()
      return { is: 'cut', error }
    } finally {
      if (client.doing === doing) client.doing = undefined
    }
  }

  const settled = async <T>(
    of: Pick<BoxModel, 'name' | 'history' | 'note'>,
    what: string,
    call: () => Promise<T>,
  ): Promise<Exclude<Outcome<T>, { is: 'cut' }>> => {
    for (;;) {
      const outcome = await ask(of, what, call)
      if (outcome.is !== 'cut') return outcome
    }
  }

  const client: Client = {
    doing: undefined,
    number,
    random,
    gibil,
    daemon,
    boxes: [],
    counts,
    ask,
    async get(of, what, call) {
      const outcome = await settled(of, what, call)
      if (outcome.is === 'answer') return outcome.value
      throw new SoakFailure(`${of.name}: ${what} was refused: ${describe(outcome.error)}`, of.history)
    },
    async refused(of, what, code, call) {
      const outcome = await settled(of, what, call)
      if (outcome.is === 'refusal' && outcome.error.code === code) return
      const seen = outcome.is === 'refusal' ? describe(outcome.error) : 'an answer'
      throw new SoakFailure(`${of.name}: ${what} gave ${seen} and not ${code}`, of.history)
    },
    handle: ({ id }) => gibil.box(id),
  }
  return client
}

const describe = (error: GibilError): string => `${error.code}: ${error.message} ${JSON.stringify(error.details ?? {})}`
