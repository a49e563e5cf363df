import { Exit, FrameType, GibilError } from '@gibil/contract'
import { cancellation, violation } from './failures.ts'
import type { BoxdClient, CommandChannel, StartRequest } from './types.ts'

export interface RunOptions {
  readonly onOutput: (stream: 'stdout' | 'stderr', data: Uint8Array) => void
  /** Aborting kills the command with its whole group, and rejects. */
  readonly signal?: AbortSignal | undefined
}

const killGroup = Buffer.from(JSON.stringify({ signal: 'SIGKILL', group: true }))

/** Runs a command until it has ended and all its output was given. */
export async function runToEnd(client: BoxdClient, request: StartRequest, options: RunOptions): Promise<Exit> {
  const { signal, onOutput } = options
  if (signal?.aborted) throw cancellation(signal)
  const channel = await client.openCommand(request)
  const kill = (): void => {
    const close = (): void => channel.close()
    channel.send(FrameType.signal, killGroup).then(close, close)
  }
  signal?.addEventListener('abort', kill, { once: true })
  if (signal?.aborted) kill()
  try {
    const exit = await readToEnd(channel, onOutput)
    if (exit && !signal?.aborted) return exit
  } finally {
    signal?.removeEventListener('abort', kill)
    // An aborted channel closes when the kill is sent.
    if (!signal?.aborted) channel.close()
  }
  throw signal ? cancellation(signal) : violation('no exit')
}

async function readToEnd(channel: CommandChannel, onOutput: RunOptions['onOutput']): Promise<Exit | undefined> {
  for await (const { type, payload } of channel) {
    if (type === FrameType.stdout) onOutput('stdout', payload)
    else if (type === FrameType.stderr) onOutput('stderr', payload)
    else if (type === FrameType.exit) return Exit.parse(JSON.parse(payload.toString()))
    else if (type === FrameType.error) {
      throw GibilError.fromBody(JSON.parse(payload.toString()), 'The command could not go on.')
    }
  }
  return undefined
}
