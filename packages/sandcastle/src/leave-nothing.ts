import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { type ConnectOptions, Gibil, GibilError } from '@gibil/sdk'
import { commandLabel } from './execute.ts'

interface Made {
  readonly name: string
  readonly connect: ConnectOptions
  readonly keep: boolean
}

/** A box that is to be gone when this process is, however it ends. */
export interface Tracked {
  /** Aborts when it is to end. */
  readonly ended: AbortSignal
  /** Waits for a create, which `ended` gives up and which then leaves nothing, before anything else is ended. */
  during<T>(create: Promise<T>): Promise<T>
  /** Destroys it; with `keep`, kills what was started in it. The second time it does nothing. */
  end(): Promise<void>
}

const open = new Map<string, { readonly made: Made; readonly tracked: Tracked }>()
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export function keepTrack(made: Made): Tracked {
  const abort = new AbortController()
  let ending: Promise<void> | undefined
  let creating: Promise<unknown> | undefined
  const tracked: Tracked = {
    ended: abort.signal,
    during(create) {
      creating = create.catch(() => undefined)
      return create
    },
    end() {
      ending ??= (async () => {
        abort.abort(new GibilError('cancelled', `The sandbox ${made.name} was closed.`))
        try {
          await creating
          await endBox(made)
        } finally {
          open.delete(made.name)
          if (open.size === 0) unwatch()
        }
      })()
      return ending
    },
  }
  if (open.size === 0) watch()
  open.set(made.name, { made, tracked })
  return tracked
}

/** False when there is no such box. */
export async function endBox({ name, connect, keep }: Made): Promise<boolean> {
  await using client = Gibil.connect(connect)
  const box = client.box(name)
  try {
    if (!keep) {
      await box.destroy()
      return true
    }
    const running = (await box.jobs.list()).filter(({ label, exit }) => label === commandLabel && exit === null)
    await Promise.all(running.map(({ id }) => box.jobs.kill(id, 'SIGKILL')))
    return true
  } catch (error) {
    if (GibilError.is(error) && error.code === 'box_not_found') return false
    throw error
  }
}

function watch(): void {
  for (const signal of signals) process.on(signal, onSignal)
  process.on('exit', onExit)
}

function unwatch(): void {
  for (const signal of signals) process.off(signal, onSignal)
  process.off('exit', onExit)
}

/** Ends the boxes, then this process as the signal would have, unless somebody else listens to it and decides that. */
function onSignal(signal: NodeJS.Signals): void {
  const others = process.listenerCount(signal) > 1
  void Promise.allSettled([...open.values()].map(({ tracked }) => tracked.end())).then(() => {
    if (others) return
    unwatch()
    process.kill(process.pid, signal)
  })
}

/** Nothing can be waited for any more: another process does it. Whatever it does not come to, the lease of the box does. */
function onExit(): void {
  for (const { made } of open.values()) {
    const arguments_ = [join(import.meta.dirname, 'reaper.ts'), JSON.stringify(made)]
    spawn(process.execPath, arguments_, { detached: true, stdio: 'ignore' }).unref()
  }
}
