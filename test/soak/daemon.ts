import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeHome, type TestHome } from '../support/home.ts'

/** The daemon that is soaked: who kills it says so here, so that clients know which of their calls were cut off. */
export interface SoakDaemon extends AsyncDisposable {
  readonly home: TestHome
  readonly kills: number
  /** Whether it was away at any time since it had been killed so often. */
  wasAwaySince(kills: number): boolean
  /** Resolves when it answers. */
  back(): Promise<void>
  pid(): Promise<number>
  kill(): Promise<void>
  /** Stops it in the way of `gibil down`, does something, and starts it again. */
  whileDown<T>(work: () => Promise<T>): Promise<T>
}

export async function startSoakDaemon(): Promise<SoakDaemon> {
  const home = await makeHome()
  let kills = 0
  let away: Promise<void> | undefined

  const start = async (): Promise<void> => {
    // Tests with real boxes go without spares; here they are part of what may go wrong.
    const { exitCode, stderr } = await home.startDaemon({ GIBIL_POOL: '6' })
    if (exitCode !== 0) throw new Error(`The daemon did not start again: ${stderr}`)
  }
  const pid = async (): Promise<number> => JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8')).pid
  const withoutDaemon = async (work: () => Promise<void>): Promise<void> => {
    away = work().finally(() => {
      away = undefined
    })
    await away
  }

  const daemon: SoakDaemon = {
    home,
    get kills() {
      return kills
    },
    wasAwaySince: (before) => away !== undefined || kills !== before,
    async back() {
      while (away) await away
    },
    pid,
    async kill() {
      const victim = await pid()
      kills += 1
      await withoutDaemon(async () => {
        process.kill(victim, 'SIGKILL')
        while (isAlive(victim)) await sleep(5)
        await start()
      })
    },
    async whileDown(work) {
      const result = Promise.withResolvers<Awaited<ReturnType<typeof work>>>()
      await withoutDaemon(async () => {
        const { exitCode, stderr } = await home.gibil(['down'])
        if (exitCode !== 0) throw new Error(`The daemon did not stop: ${stderr}`)
        result.resolve(await work())
        await start()
      })
      return result.promise
    },
    [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
  }
  await start()
  return daemon
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
