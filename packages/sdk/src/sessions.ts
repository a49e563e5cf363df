import { GibilError, parseDuration, Session, SessionOutput, type StartSession } from '@gibil/contract'
import * as z from 'zod'
import { createBoxHandle } from './box/box.ts'
import type { CommandStream, StreamSettings } from './box/command-stream.ts'
import type { Transport } from './connect/transport.ts'
import { type CreateOptions, createBox } from './create/create.ts'
import { destroyIfThere } from './create/undo.ts'
import type { LongCallOptions } from './images.ts'
import { checkBranchName, fetchBundle } from './repo/bundle.ts'
import { git, tryGit } from './repo/git.ts'

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** `box`: one that is there, by name or id, or what a new one is made of, whose TTL is the timeout and half an hour unless it names one. */
export type StartOptions = Omit<StartSession, 'box'> & { readonly box: string | CreateOptions }

/** Agents at their tasks in boxes. `ref`: an id, or the name of a box: its newest session. All throw `session_not_found`. */
export interface Sessions {
  /** Answers once the agent runs. A box that was made for it is destroyed when it cannot start. */
  start(input: StartOptions, options?: LongCallOptions): Promise<Session>
  /** Oldest first; the last 200 that ended are kept, also when their boxes are gone. */
  list(options?: Cancel): Promise<Session[]>
  get(ref: string, options?: Cancel): Promise<Session>
  /** Waits until it has ended, its work was fetched and its box is as it was to be. */
  wait(ref: string, options?: Cancel): Promise<Session>
  /** Ends its agent, as `wait` after it. */
  stop(ref: string, options?: Cancel): Promise<Session>
  /** Forgets one that has ended. Throws `wrong_state`. */
  remove(ref: string, options?: Cancel): Promise<Session>
  /** What it printed, from a byte offset on, a part at a time. */
  output(
    ref: string,
    options?: Cancel & { readonly offset?: number | undefined; readonly limit?: number; readonly waitMs?: number },
  ): Promise<SessionOutput>
  /** Its terminal, with its input. Throws `wrong_state` when it does not run. */
  attach(ref: string, options?: StreamSettings): Promise<CommandStream>
  /** The recording as asciicast, version 2. */
  recording(ref: string, options?: Cancel): Promise<AsyncIterable<Uint8Array>>
  /** All that changed, as `git apply` takes it. Throws `file_not_found` where nothing did, as below. */
  patch(ref: string, options?: Cancel): Promise<AsyncIterable<Uint8Array>>
  /** Its work into a branch of a local repository, which has what the box was given; nothing is checked out. Answers the commit. */
  branch(ref: string, name: string, local: string, options?: Cancel): Promise<string>
}

const waitMs = 30_000
const resultRef = 'refs/gibil/result'
const defaultTimeoutMs = 2 * 3_600_000
/** For the clone before, and a look after. */
const marginMs = 30 * 60_000

export function createSessions(transport: Transport): Sessions {
  const at = (ref: string, rest = ''): string => `/sessions/${encodeURIComponent(ref)}${rest}`
  const get: Sessions['get'] = (ref, options = {}) => transport.call(Session, 'GET', at(ref), options)
  const begin = (body: StartSession, { signal }: Cancel): Promise<Session> =>
    transport.call(Session, 'POST', '/sessions', { body, signal })

  return {
    async start({ box, ...session }, options = {}) {
      if (typeof box === 'string') return begin({ ...session, box }, options)
      const ttl = session.timeout === 'none' ? 'none' : minutesOf(session.timeout)
      const made = await createBox(transport, { ttl, ...box }, options)
      try {
        return await begin({ ...session, box: made.ref }, options)
      } catch (error) {
        await destroyIfThere(made)
        throw error
      }
    },
    list: (options = {}) => transport.call(z.array(Session), 'GET', '/sessions', options),
    get,
    async wait(ref, { signal } = {}) {
      for (;;) {
        const session = await transport.call(Session, 'GET', at(ref), { query: { waitMs }, signal })
        if (session.state === 'ended') return session
      }
    },
    stop: (ref, options = {}) => transport.call(Session, 'POST', at(ref, '/stop'), options),
    remove: (ref, options = {}) => transport.call(Session, 'DELETE', at(ref), options),
    output: (ref, { signal, ...query } = {}) =>
      transport.call(SessionOutput, 'GET', at(ref, '/output'), { query, signal }),
    async attach(ref, settings) {
      const { id, state, job, box } = await get(ref, settings ?? {})
      if (state === 'running' && job) return createBoxHandle(transport, box.id).jobs.attach(job, settings)
      throw new GibilError('wrong_state', `The agent of ${id} does not run any more.`, {
        hint: `See what it printed: \`gibil session logs ${id}\`.`,
      })
    },
    recording: (ref, { signal } = {}) => transport.download(at(ref, '/recording'), { signal }),
    patch: (ref, { signal } = {}) => transport.download(at(ref, '/result'), { query: { as: 'patch' }, signal }),
    async branch(ref, name, local, { signal } = {}) {
      const here = { cwd: local, signal }
      await checkBranchName(name, here)
      const { id, result } = await get(ref, { signal })
      if (!result) throw new GibilError('file_not_found', `The session ${id} has changed nothing.`)
      await checkHas(result.base, id, here)
      if (result.bundleBytes === 0) await git(['fetch', '--quiet', '.', `${result.commit}:refs/heads/${name}`], here)
      else {
        const bundle = await transport.download(at(id, '/result'), { query: { as: 'bundle' }, signal })
        await fetchBundle(bundle, resultRef, name, here)
      }
      return result.commit
    },
  }
}

const minutesOf = (timeout: StartSession['timeout']): number =>
  Math.ceil(((timeout === undefined ? defaultTimeoutMs : parseDuration(timeout)) + marginMs) / 60_000)

async function checkHas(base: string | null, id: string, here: Parameters<typeof tryGit>[1]): Promise<void> {
  if (base === null) return
  const known = await tryGit(['cat-file', '-e', `${base}^{commit}`], here)
  if (known.status === 0) return
  throw new GibilError(
    'invalid_request',
    `${here.cwd} does not have the commit ${base.slice(0, 12)} that the session ${id} began at.`,
    {
      hint: `Fetch it first, choose another repository, or take the patch: gibil session result ${id} --patch -`,
    },
  )
}
