import type { CommandChannel } from '@gibil/boxd-client'
import { Exit, FrameType, GibilError } from '@gibil/contract'

const killGroup = Buffer.from(JSON.stringify({ signal: 'SIGKILL', group: true }))

/**
 * Kills the whole process group of a command when the signal aborts, since nobody could see its result any more. The
 * returned function ends the connection, unless the kill is still on its way.
 */
export function killOnAbort(channel: CommandChannel, signal: AbortSignal | undefined): () => void {
  let killing = false
  const kill = (): void => {
    killing = true
    channel.send(FrameType.signal, killGroup).then(
      () => channel.close(),
      () => channel.close(),
    )
  }
  if (signal?.aborted) kill()
  else signal?.addEventListener('abort', kill, { once: true })
  return () => {
    signal?.removeEventListener('abort', kill)
    if (!killing) channel.close()
  }
}

/** Reads a command to its end. Throws what its `error` frame says, and `boxd_unreachable` when the connection ends before it. */
export async function commandResult(
  channel: CommandChannel,
  onOutput: (type: typeof FrameType.stdout | typeof FrameType.stderr, payload: Buffer) => void,
): Promise<Exit> {
  for await (const { type, payload } of channel) {
    if (type === FrameType.stdout || type === FrameType.stderr) onOutput(type, payload)
    else if (type === FrameType.exit) return Exit.parse(JSON.parse(payload.toString()))
    else if (type === FrameType.error) {
      throw GibilError.fromBody(JSON.parse(payload.toString()), 'The command could not go on.')
    }
  }
  throw new GibilError('boxd_unreachable', 'The connection to the box ended before the command did.')
}
