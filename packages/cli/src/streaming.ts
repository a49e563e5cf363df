import { once } from 'node:events'
import { fstatSync } from 'node:fs'
import { constants } from 'node:os'
import type { CommandStream, Exit } from '@gibil/sdk'
import type { Output } from './context.ts'
import type { Session } from './session.ts'

/** Writes and waits until there is room again, so that a slow reader slows the command down instead of filling memory. */
export async function write(output: Output, data: Uint8Array | string): Promise<void> {
  if (output.write(data) || output.destroyed) return
  await once(output, 'drain').catch(() => undefined)
}

/** Passes the output of a command on as it comes, until it has ended. */
export async function pump(command: CommandStream, session: Pick<Session, 'stdout' | 'stderr'>): Promise<Exit> {
  for await (const { stream, data } of command) await write(stream === 'stdout' ? session.stdout : session.stderr, data)
  return command.exit
}

/** The exit status that stands for how a command ended: its own, or 128 and the number of the signal. */
export function statusOf({ exitCode, signal }: Pick<Exit, 'exitCode' | 'signal'>): number {
  if (exitCode !== null) return exitCode
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1]
  return 128 + (number ?? 0)
}

/** Whether something is piped into this process, that is: stdin is a pipe, a socket or a file. */
export function inputIsPiped({ stdin }: Pick<Session, 'stdin'>): boolean {
  if (stdin !== process.stdin) return stdin.isTTY !== true
  try {
    const info = fstatSync(0)
    return info.isFIFO() || info.isSocket() || info.isFile()
  } catch {
    return false
  }
}

/** Sends stdin to a command until either of them ends. */
export function feed(command: CommandStream, session: Pick<Session, 'stdin'>): void {
  session.stdin.pipe(command.stdin)
  command.stdin.once('close', () => session.stdin.unpipe(command.stdin))
}
