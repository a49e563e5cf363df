import type { CommandStream, Exit, TtySize } from '@gibil/sdk'
import type { Cli } from './context.ts'
import { pump } from './streaming.ts'

/** Ctrl-], as telnet has it: leaves the command running. */
const detachKey = 0x1d

export const isTerminal = ({ stdin, stdout }: Pick<Cli, 'stdin' | 'stdout'>): boolean =>
  stdin.isTTY === true && stdout.isTTY === true

export const sizeOf = ({ stdout }: Pick<Cli, 'stdout'>): TtySize => ({
  cols: stdout.columns || 80,
  rows: stdout.rows || 24,
})

/** Connects this terminal with a command that has one, until it ends or the detach key is pressed. */
export async function connectTerminal(command: CommandStream, cli: Cli): Promise<Exit | 'detached'> {
  const { stdin, stdout } = cli
  let detached = false
  const onData = (data: Buffer): void => {
    const key = data.indexOf(detachKey)
    if (key === -1) {
      command.stdin.write(data)
      return
    }
    if (key > 0) command.stdin.write(data.subarray(0, key))
    detached = true
    command.detach()
  }
  const onResize = (): void => void command.resize(sizeOf(cli)).catch(() => undefined)
  // In raw mode Ctrl-C is a byte for the box; a signal from elsewhere hangs up.
  const release = cli.onInterrupt(() => {
    detached = true
    command.detach()
  })
  stdin.setRawMode?.(true)
  stdin.on('data', onData)
  stdin.resume()
  stdout.on('resize', onResize)
  onResize()
  try {
    return await pump(command, cli)
  } catch (error) {
    if (detached) return 'detached'
    throw error
  } finally {
    stdout.off('resize', onResize)
    stdin.off('data', onData)
    stdin.pause()
    stdin.setRawMode?.(false)
    release()
  }
}
