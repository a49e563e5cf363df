import type { Readable } from 'node:stream'
import {
  completeLength,
  GibilError,
  parseDuration,
  type Session,
  type SessionOutput,
  type StartSession,
} from '@gibil/contract'
import { toFailure } from '../box/failure.ts'
import { isSessionId, newSessionId } from '../box/ids.ts'
import type { Owner } from '../box-record.ts'
import type { Context } from '../plane/context.ts'
import type { Verbs } from '../plane/verbs.ts'
import { waitFor } from '../plane/waiting.ts'
import type { Recorded, ResultKind } from '../ports/session-files.ts'
import type { SessionRecord } from '../session-record.ts'
import { createKeyedQueue } from '../util/keyed-queue.ts'
import { sleep } from '../util/timing.ts'
import { agentCommand } from './agent-command.ts'
import { asciicast } from './asciicast.ts'
import { ended, finish, linesOf } from './ending.ts'
import { createPulse, type Pulse } from './pulse.ts'
import { record as follow, ringBytes, sessionLabel } from './recorder.ts'
import { sessionView } from './view.ts'

/** Sessions of the boxes that one caller may know of. `ref` is an id, or the name of a box: its newest session. All throw `session_not_found`. */
export interface Sessions {
  /**
   * Starts an agent in a box that is ready; answers once it runs. The values of its environment reach it and are kept nowhere. Nothing is left of
   * one that cannot start. Throws `box_not_found`, `wrong_state`, `command_failed`, `command_not_found`, `invalid_duration`.
   */
  start(input: StartSession, options?: { readonly owner?: Owner; readonly signal?: AbortSignal }): Promise<Session>
  /** Oldest first. */
  list(options?: { readonly owner?: Owner }): Promise<Session[]>
  /** `waitMs`: waits so long for its end. */
  get(
    ref: string,
    options?: { readonly owner?: Owner; readonly waitMs?: number; readonly signal?: AbortSignal },
  ): Promise<Session>
  /** Ends its agent, with 5 s between SIGTERM and SIGKILL, and answers when it has ended. */
  stop(ref: string, options?: { readonly owner?: Owner; readonly signal?: AbortSignal }): Promise<Session>
  /** Forgets one that has ended, with what it printed and changed. Throws `wrong_state`. */
  remove(ref: string, options?: { readonly owner?: Owner }): Promise<Session>
  /** What it printed, from a byte offset on; with `waitMs`, waits so long for more. */
  output(
    ref: string,
    options: {
      readonly owner?: Owner
      readonly offset: number
      readonly limit: number
      readonly waitMs?: number
      readonly signal?: AbortSignal
    },
  ): Promise<SessionOutput>
  /** The recording as lines of asciicast, version 2. */
  recording(ref: string, options?: { readonly owner?: Owner }): Promise<AsyncIterable<string>>
  /** Throws `file_not_found` where it has none. */
  result(ref: string, kind: ResultKind, options?: { readonly owner?: Owner }): Promise<Readable>
}

export interface SessionKeeper {
  readonly sessions: Sessions
  /** Takes up what an earlier daemon left. */
  begin(): Promise<void>
  idle(): Promise<void>
}

const defaultTimeoutMs = 2 * 3_600_000
const defaultTty = { cols: 120, rows: 32 }
const graceMs = 5000
/** Sessions that have ended are kept up to that number; the oldest go first. */
const keptSessions = 200
/** What was asked for waits at most so long between two looks, so that nothing is missed for good. */
const lookMs = 20_000

interface Active {
  readonly pulse: Pulse
  lastOutputAt: number | null
}

export function createSessions(context: Context, verbs: Verbs): SessionKeeper {
  const { boxes, deps, stopping, events } = context
  const { store, clock, log, sessionFiles: files } = deps
  const active = new Map<string, Active & { readonly done: Promise<void> }>()
  const queue = createKeyedQueue()

  const update = (
    id: string,
    change: (latest: SessionRecord) => Partial<SessionRecord>,
  ): Promise<SessionRecord | undefined> =>
    queue.run(id, async () => {
      const before = await store.getSession(id)
      if (!before) return undefined
      const after = { ...before, ...change(before) }
      await store.saveSession(after)
      return after
    })

  const find = async (ref: string, owner: Owner = null): Promise<SessionRecord> => {
    const byId = isSessionId(ref) ? await store.getSession(ref) : undefined
    const found = byId ?? (await store.listSessions(owner ?? undefined)).findLast(({ boxName }) => boxName === ref)
    if (found && (owner === null || found.owner === owner)) return found
    throw new GibilError('session_not_found', `There is no session "${ref.slice(0, 80)}".`)
  }

  const view = async (record: SessionRecord): Promise<Session> => {
    const runs = active.get(record.id)
    const lines = record.state === 'running' ? await linesOf(files, record.id) : record.lastLines
    const live = {
      outputBytes: await files.nextOffset(record.id),
      lastOutputAt: runs?.lastOutputAt ?? null,
      lastLines: lines,
    }
    return sessionView(record, live, clock.now())
  }

  const isShared = async ({ id, boxId }: SessionRecord): Promise<boolean> =>
    (await store.listSessions()).some((other) => other.boxId === boxId && other.id !== id && other.state !== 'ended')

  /** From wherever it is to its end. */
  const live = async (begin: SessionRecord, onOutput: () => void): Promise<void> => {
    let record: SessionRecord | undefined = begin
    if (record.state === 'running') {
      if (record.stopping) kill(record)
      const end = await follow(context, files, record, onOutput)
      const patch = await ended(
        files,
        { ...record, stopping: (await store.getSession(record.id))?.stopping ?? false },
        end,
      )
      record = await update(record.id, () => patch)
    }
    if (!record) return
    const rest = await finish({ context, files, verbs, isShared }, record)
    const over = await update(record.id, () => ({ ...rest, state: 'ended', endedAt: clock.now() }))
    if (over) await tell('session.ended', over)
  }

  const tell = (type: 'session.started' | 'session.ended', record: SessionRecord): Promise<void> =>
    events.append(
      type,
      { id: record.boxId, name: record.boxName, owner: record.owner },
      { session: record.id, ...(record.outcome === null ? {} : { outcome: record.outcome }) },
    )

  const keep = (record: SessionRecord): void => {
    const pulse = createPulse(clock)
    const state: Active = { pulse, lastOutputAt: null }
    const done = live(record, () => {
      state.lastOutputAt = clock.now()
      pulse.beat()
    })
      .catch((error) => {
        if (!stopping.aborted)
          log.error({ session: record.id, err: error }, 'a session could not be followed to its end')
      })
      .finally(() => {
        active.delete(record.id)
        pulse.beat()
      })
    active.set(record.id, Object.assign(state, { done }))
  }

  /** SIGTERM, and SIGKILL to what is still there after the grace. */
  const kill = ({ boxId, jobId }: SessionRecord): void => {
    const send = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
      const box = await boxes.get(boxId)
      if (box?.status === 'running' && jobId) await context.boxd.of(box, stopping).signalJob(jobId, { signal })
    }
    send('SIGTERM')
      .then(() => sleep(clock, graceMs, stopping))
      .then(() => send('SIGKILL'))
      .catch((error) => log.debug({ err: error }, 'an agent could not be signalled'))
  }

  /** The process of a session whose daemon died while it was started, if it came to that. */
  const adopt = async (record: SessionRecord): Promise<void> => {
    const box = await boxes.get(record.boxId)
    const jobs =
      box?.status === 'running'
        ? await context.boxd
            .of(box, stopping)
            .jobs()
            .catch(() => [])
        : []
    const job = jobs.find(({ label }) => label === sessionLabel(record.id))
    const next = await update(record.id, () =>
      job
        ? { state: 'running', jobId: job.id, startedAt: Date.parse(job.startedAt) }
        : {
            state: 'ended',
            outcome: 'lost',
            endedAt: clock.now(),
            failure: toFailure(
              new GibilError('interrupted', 'The daemon was stopped before the agent was started.', {
                hint: 'Start the session again: its credentials are kept nowhere.',
              }),
            ),
          },
    )
    if (next?.state === 'running') keep(next)
  }

  const prune = async (): Promise<void> => {
    const over = (await store.listSessions()).filter(({ state }) => state === 'ended')
    for (const { id } of over.slice(0, Math.max(0, over.length - keptSessions))) await forget(id)
  }
  const forget = async (id: string): Promise<void> => {
    await files.remove(id)
    await store.removeSession(id)
  }

  /** Waits for the end or the next output of a session that runs. */
  const next = async (id: string, deadline: number, signal?: AbortSignal): Promise<boolean> => {
    const left = deadline - clock.now()
    const runs = active.get(id)
    if (left <= 0 || !runs || signal?.aborted || stopping.aborted) return false
    await runs.pulse.next(Math.min(left, lookMs), signal)
    return true
  }

  const sessions: Sessions = {
    async start(input, { owner = null, signal } = {}) {
      const timeoutMs = input.timeout === 'none' ? null : parseTimeout(input.timeout)
      const found = await boxes.find(input.box, owner)
      await context.takeover.one(found.id)
      let box = await waitFor(context, found, 'ready', signal)
      if (box.status === 'paused') {
        await verbs.resume(box.id)
        box = await boxes.find(box.id)
      }
      await prune()
      const { agent, task, env = {}, onEnd = 'pause', tty = defaultTty } = input
      const record: SessionRecord = {
        id: newSessionId(deps.random),
        owner: box.owner,
        boxId: box.id,
        boxName: box.name,
        agent,
        task,
        envNames: Object.keys(env).sort(),
        tty,
        timeoutMs,
        onEnd,
        state: 'starting',
        outcome: null,
        jobId: null,
        stopping: false,
        exit: null,
        lastLines: '',
        result: null,
        failure: null,
        createdAt: clock.now(),
        startedAt: null,
        endedAt: null,
      }
      await store.insertSession(record)
      try {
        const until = signal ? AbortSignal.any([signal, stopping]) : stopping
        const boxd = context.boxd.of(box, until)
        const argv = await agentCommand(boxd, agent, task, until)
        const label = sessionLabel(record.id)
        const startedAt = clock.now()
        const jobId = await boxd.startJob({
          argv,
          env,
          tty,
          label,
          ringBytes,
          ...(timeoutMs === null ? {} : { timeoutMs }),
        })
        const running = await update(record.id, () => ({ state: 'running', jobId, startedAt }))
        if (!running) throw new GibilError('session_not_found', 'The session was removed while it was started.')
        await tell('session.started', running)
        keep(running)
        return view(running)
      } catch (error) {
        if (!stopping.aborted) await forget(record.id)
        throw GibilError.from(error)
      }
    },

    async list({ owner = null } = {}) {
      return Promise.all((await store.listSessions(owner ?? undefined)).map(view))
    },

    async get(ref, { owner = null, waitMs = 0, signal } = {}) {
      const { id } = await find(ref, owner)
      const deadline = clock.now() + waitMs
      while (await next(id, deadline, signal));
      return view(await find(id))
    },

    async stop(ref, { owner = null, signal } = {}) {
      const record = await find(ref, owner)
      const { id } = record
      if (record.state === 'ended') return view(record)
      const latest = await update(id, ({ state }) => (state === 'ended' ? {} : { stopping: true }))
      if (latest?.state === 'running') kill(latest)
      while (await next(id, Number.POSITIVE_INFINITY, signal));
      return view(await find(id))
    },

    async remove(ref, { owner = null } = {}) {
      const record = await find(ref, owner)
      if (record.state !== 'ended') {
        throw new GibilError('wrong_state', `The session ${record.id} has not ended.`, {
          hint: `Stop it first: \`gibil session stop ${record.id}\`.`,
        })
      }
      const last = await view(record)
      await forget(record.id)
      return last
    },

    async output(ref, { owner = null, offset, limit, waitMs = 0, signal }) {
      const { id } = await find(ref, owner)
      const deadline = clock.now() + waitMs
      while ((await files.nextOffset(id)) <= offset && (await next(id, deadline, signal)));
      const over = !active.has(id)
      const page = await readPage(files.read(id, offset), offset, limit)
      return { ...page, done: over && page.text === '' }
    },

    async recording(ref, { owner = null } = {}) {
      const record = await find(ref, owner)
      return asciicast(record, files.read(record.id, 0))
    },

    async result(ref, kind, { owner = null } = {}) {
      const { id } = await find(ref, owner)
      const body = await files.result(id, kind)
      if (body) return body
      throw new GibilError(
        'file_not_found',
        `The session ${id} has changed nothing in a repository, or has not ended.`,
        {
          hint: `See \`gibil session show ${id}\`.`,
        },
      )
    },
  }

  return {
    sessions,
    async begin() {
      for (const record of await store.listSessions()) {
        if (record.state === 'starting') await adopt(record)
        else if (record.state !== 'ended') keep(record)
      }
    },
    async idle() {
      await Promise.all([...active.values()].map(({ done }) => done))
      await queue.idle()
    },
  }
}

function parseTimeout(text: string | number | undefined): number {
  return text === undefined ? defaultTimeoutMs : parseDuration(text)
}

/** Text up to a limit in bytes. A character that is only begun is left for the next page, unless it is all there is. */
async function readPage(
  pieces: AsyncIterable<Recorded>,
  offset: number,
  limit: number,
): Promise<Omit<SessionOutput, 'done'>> {
  const taken: Uint8Array[] = []
  let begin: number | undefined
  let next = offset
  for await (const { offset: at, data } of pieces) {
    const from = Math.max(at, offset)
    // What comes after a gap is of another page.
    if (begin !== undefined && from > next) break
    begin ??= from
    const part = data.subarray(from - at, from - at + limit - (from - begin))
    taken.push(part)
    next = from + part.length
    if (next - begin >= limit) break
  }
  const bytes = Buffer.concat(taken)
  const whole = completeLength(bytes) || bytes.length
  const start = begin ?? offset
  return { text: bytes.toString('utf8', 0, whole), nextOffset: start + whole, lost: start - offset }
}
