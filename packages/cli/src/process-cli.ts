import pc from 'picocolors'
import type { Cli } from './context.ts'

const signalStatus = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGPIPE: 141 } as const
type Interrupt = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

/** Runs with this process's own streams and signals, and answers with the exit status. */
export async function processCli(run: (cli: Cli) => Promise<number>): Promise<number> {
  const abort = new AbortController()
  const handlers: ((signal: Interrupt) => void)[] = []
  let interruptedBy: keyof typeof signalStatus | undefined
  const onSignal = (signal: Interrupt): void => {
    const handler = handlers.at(-1)
    if (handler) {
      handler(signal)
      return
    }
    // The second time somebody means it.
    if (interruptedBy) process.exit(signalStatus[signal])
    interruptedBy = signal
    abort.abort(new Error(`interrupted by ${signal}`))
  }
  const signals: readonly Interrupt[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, onSignal)

  // A reader that has seen enough (`gibil run w -- yes | head -1`) ends the work, as SIGPIPE ends that of other programs.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    interruptedBy ??= 'SIGPIPE'
    abort.abort(error)
  })

  try {
    const status = await run({
      argv: process.argv.slice(2),
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
      env: process.env,
      cwd: process.cwd(),
      colors: pc.createColors(pc.isColorSupported && process.stderr.isTTY === true),
      signal: abort.signal,
      onInterrupt(handler) {
        handlers.push(handler)
        return () => void handlers.splice(handlers.indexOf(handler), 1)
      },
    })
    return interruptedBy && (status !== 0 || interruptedBy === 'SIGPIPE') ? signalStatus[interruptedBy] : status
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
    // Input that nobody ends would keep the process alive.
    process.stdin.destroy()
  }
}
