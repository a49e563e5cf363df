import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'

const program = resolve(import.meta.dirname, '../files/usr/local/lib/code-interpreter/javascript/kernel.mjs')

/** As kernel.mjs says what it answers. */
interface Answer {
  readonly result?: Readonly<Record<string, unknown>>
  readonly main?: boolean
  readonly error?: { readonly name: string; readonly value: string; readonly traceback: string }
  readonly done?: true
}

export interface Kernel extends AsyncDisposable {
  /** All that is answered to a request, by default to the one that was sent last. */
  ask(request?: object): Promise<Answer[]>
  send(request: object): void
  interrupt(): void
  readonly output: () => string
  /** Resolves with how it has ended. */
  readonly ended: Promise<number | null>
}

/** The kernel as the image runs it, by the Node that runs the tests. */
export function startKernel(cwd: string): Kernel {
  const flags = ['--expose-internals', '--experimental-import-meta-resolve', '--disable-warning=ExperimentalWarning']
  const child = spawn(process.execPath, [...flags, program], { cwd, stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] })
  const [, stdout, stderr, control, orders] = child.stdio
  const closed = once(child, 'close')
  let output = ''
  for (const stream of [stdout, stderr]) stream?.on('data', (piece) => (output += String(piece)))
  const socket = control as Duplex
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  const send = (request: object): void => void socket.write(`${JSON.stringify(request)}\n`)
  return {
    send,
    interrupt: () => void (orders as Duplex).write('\n'),
    output: () => output,
    ended: closed.then(([code]) => code),
    async ask(request) {
      if (request) send(request)
      const answers: Answer[] = []
      for (;;) {
        const line = await lines.next()
        if (line.done) throw new Error(`The kernel is gone: ${output}`)
        const answer: Answer = JSON.parse(line.value)
        if (answer.done) return answers
        answers.push(answer)
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await closed
    },
  }
}
