import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultSource } from './faults.ts'
import type { Action, Project } from './model.ts'

/** Old actions are forgotten beyond so many; Hetzner keeps them for some time only, too. */
const mostActions = 20_000

interface Beginning {
  readonly project: Project
  readonly command: string
  readonly resources: Action['resources']
  /** The server that nothing else may change meanwhile. */
  readonly locks?: number
  /** Begins when this one has ended well, and fails with it. */
  readonly after?: Action
  /** What is done outside while the action runs. */
  readonly work?: () => Promise<unknown>
  /** What holds once it has ended well, and when it has not. */
  readonly done?: () => void
  readonly failed?: () => void
}

/** Actions run for a while, end, and are kept. */
export interface Actions {
  begin(beginning: Beginning): Action
  isLocked(server: number): boolean
  /** 0 to 100, by the time that it is expected to take. */
  progress(action: Action): number
  /** When all that run have ended. */
  settled(): Promise<void>
  /** Ends the waiting of those that run. */
  hurry(): void
}

export interface ActionDeps {
  readonly now: () => number
  readonly faults: FaultSource
  /** How long an action takes at least, in milliseconds. */
  readonly actionMs: number
  readonly nextId: () => number
  readonly changed: () => void
}

export const timeOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`

export function createActions({ now, faults, actionMs, nextId, changed }: ActionDeps): Actions {
  const locks = new Map<number, number>()
  const running = new Map<Action, Promise<void>>()
  const closing = new AbortController()
  const hold = (server: number | undefined, by: 1 | -1): void => {
    if (server !== undefined) locks.set(server, (locks.get(server) ?? 0) + by)
  }

  const run = async (action: Action, beginning: Beginning, ms: number): Promise<void> => {
    const { after, locks: server, work, done, failed } = beginning
    try {
      if (after) await running.get(after)
      if (after?.status === 'error') throw new Error(after.error?.message)
      const fault = faults.failure(action.command)
      const wait = sleep(ms, undefined, { signal: closing.signal }).catch(() => undefined)
      if (fault === undefined) await work?.()
      await wait
      if (fault) action.error = fault
      else done?.()
    } catch (error) {
      action.error = { code: 'action_failed', message: error instanceof Error ? error.message : String(error) }
    }
    hold(server, -1)
    action.status = action.error ? 'error' : 'success'
    action.finished = timeOf(now())
    running.delete(action)
    if (action.error) failed?.()
    changed()
  }

  return {
    begin(beginning) {
      const { project, command, resources } = beginning
      const ms = faults.slowness(command) ?? actionMs
      const action: Action = {
        id: nextId(),
        command,
        status: 'running',
        started: timeOf(now()),
        finished: null,
        error: null,
        resources,
        expected: now() + ms,
      }
      project.actions.set(action.id, action)
      forgetOldest(project)
      hold(beginning.locks, 1)
      running.set(action, run(action, beginning, ms))
      changed()
      return action
    },
    isLocked: (server) => (locks.get(server) ?? 0) > 0,
    progress(action) {
      if (action.status !== 'running') return 100
      const started = Date.parse(action.started)
      const part = (now() - started) / Math.max(1, action.expected - started)
      return Math.max(0, Math.min(99, Math.floor(part * 100)))
    },
    async settled() {
      while (running.size > 0) await Promise.all(running.values())
    },
    hurry: () => closing.abort(),
  }
}

function forgetOldest({ actions }: Project): void {
  if (actions.size <= mostActions) return
  for (const [id, action] of actions) {
    if (action.status === 'running') continue
    actions.delete(id)
    return
  }
}
