import { flushCompileCache } from 'node:module'
import { GibilError } from '@gibil/contract'
import { type DaemonOptions, startDaemon } from './start-daemon.ts'

/**
 * Runs a daemon until it is told to stop by SIGTERM, SIGINT or the API. Returns the exit status of the process. What nobody
 * caught ends the process at once: its state is not to be trusted, and the next start finishes what was begun.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const say = (error: unknown): void => {
    const known = GibilError.from(error)
    process.stderr.write(`gibild: ${known.message}\n  next: ${known.hint}\n`)
    if (known.code === 'internal')
      process.stderr.write(`${known.cause instanceof Error ? known.cause.stack : known.stack}\n`)
  }
  // A signal may come while the daemon starts: then it stops as soon as it has.
  const told = Promise.withResolvers<void>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => told.resolve())
  try {
    const daemon = await startDaemon(options)
    told.promise.then(() => daemon.stop())
    process.on('uncaughtException', (error) => {
      daemon.log.fatal({ err: error }, 'not caught')
      say(error)
      process.exit(70)
    })
    // Else the cache is written at an orderly end only, which a daemon may never come to.
    daemon.ready.then(flushCompileCache, () => undefined)
    await daemon.stopped
    return 0
  } catch (error) {
    say(error)
    return 1
  }
}
