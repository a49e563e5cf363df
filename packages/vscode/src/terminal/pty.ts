import { type BoxHandle, type CommandStream, formatDuration, GibilError } from '@gibil/sdk'
import { EventEmitter, type Pseudoterminal, type TerminalDimensions } from 'vscode'

const usualSize = { cols: 80, rows: 24 }
const sizeOf = (dimensions: TerminalDimensions | undefined) =>
  dimensions ? { cols: dimensions.columns, rows: dimensions.rows } : usualSize
const dim = (text: string): string => `\r\n\x1b[2m${text}\x1b[0m\r\n`

/**
 * A terminal of VS Code that is one in a box: its login shell, which closes it, or a command, after which it stays and says how that ended. Closing it
 * hangs the command up, as any terminal does.
 */
export function boxTerminal(box: BoxHandle, name: string, command?: string): Pseudoterminal {
  const written = new EventEmitter<string>()
  const closed = new EventEmitter<number | undefined>()
  let stream: CommandStream | undefined
  let over = false
  let size = usualSize

  async function run(): Promise<void> {
    stream = await box.shell({ tty: size, ...(command === undefined ? {} : { command, label: command.slice(0, 200) }) })
    // It was closed while it was being opened.
    if (over) return stream.kill('SIGHUP')
    const decoder = new TextDecoder()
    for await (const { data } of stream) written.fire(decoder.decode(data, { stream: true }))
    const { exitCode, signal, durationMs } = await stream.exit
    over = true
    if (command === undefined) return closed.fire(exitCode ?? undefined)
    const end = signal === null ? `ended with exit code ${exitCode}` : `was ended by ${signal}`
    written.fire(dim(`${end} after ${formatDuration(durationMs)}; a key closes this`))
  }

  return {
    onDidWrite: written.event,
    onDidClose: closed.event,
    open(dimensions) {
      size = sizeOf(dimensions)
      if (command !== undefined) written.fire(`\x1b[2m${name} $\x1b[0m ${command.replaceAll('\n', '\r\n')}\r\n`)
      run().catch((thrown: unknown) => {
        over = true
        const { message, hint } = GibilError.from(thrown)
        written.fire(dim(`${message} ${hint} A key closes this.`))
      })
    },
    handleInput(data) {
      if (over) closed.fire(undefined)
      else stream?.stdin.write(data)
    },
    setDimensions(dimensions) {
      size = sizeOf(dimensions)
      stream?.resize(size).catch(() => undefined)
    },
    close() {
      if (!over) stream?.kill('SIGHUP').catch(() => undefined)
      over = true
    },
  }
}
