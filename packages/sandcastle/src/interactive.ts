import type { TtySize } from '@gibil/sdk'
import { commandLabel, type Where } from './execute.ts'

interface InteractiveOptions {
  readonly stdin: NodeJS.ReadableStream
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly cwd?: string
}

/** What a terminal has, where the streams are one. */
type Terminal = Partial<Pick<NodeJS.ReadStream, 'isTTY' | 'setRawMode'> & Pick<NodeJS.WriteStream, 'columns' | 'rows'>>

/** Runs a program with the streams of the caller: in a terminal when they are one. */
export async function executeInteractively(
  { box, env, cwd, ended }: Where,
  args: readonly string[],
  options: InteractiveOptions,
): Promise<{ exitCode: number }> {
  const { stdin, stdout, stderr } = options
  const input: Terminal = stdin as Terminal
  const output: Terminal = stdout as Terminal
  const size = (): TtySize => ({ cols: output.columns || 80, rows: output.rows || 24 })
  const isTerminal = input.isTTY === true
  const stream = await box.stream(args, {
    cwd: options.cwd ?? cwd,
    env,
    label: commandLabel,
    signal: ended,
    stdin: true,
    ...(isTerminal ? { tty: size() } : {}),
  })
  const onResize = (): void => void stream.resize(size()).catch(() => undefined)
  // Not a pipe, which would end with the command and take the input of the caller with it.
  const onData = (data: Buffer): void => {
    if (!stream.stdin.write(data)) {
      stdin.pause()
      stream.stdin.once('drain', () => stdin.resume())
    }
  }
  const onEnd = (): void => void stream.stdin.end()
  if (isTerminal) {
    input.setRawMode?.call(stdin, true)
    stdout.on('resize', onResize)
  }
  stdin.on('data', onData)
  stdin.once('end', onEnd)
  stdin.resume()
  try {
    for await (const { stream: name, data } of stream) {
      const target = name === 'stdout' ? stdout : stderr
      if (!target.write(data)) await new Promise((resolve) => target.once('drain', resolve))
    }
    return { exitCode: (await stream.exit).exitCode ?? 1 }
  } finally {
    stdin.off('data', onData)
    stdin.off('end', onEnd)
    stdin.pause()
    if (isTerminal) {
      stdout.off('resize', onResize)
      input.setRawMode?.call(stdin, false)
    }
  }
}
