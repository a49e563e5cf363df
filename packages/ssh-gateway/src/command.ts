import type { Writable } from 'node:stream'
import type { CommandChannel } from '@gibil/boxd-client'
import { Exit, FrameType, GibilError } from '@gibil/contract'
import type { ServerChannel } from 'ssh2'

/** Passes input and output between a client and a command until that has ended, each no faster than the other side takes it. */
export async function passCommand(channel: ServerChannel, command: CommandChannel): Promise<void> {
  // A failure to pass input is seen where the output is read, which also says when all is over.
  passInput(channel, command).catch(() => undefined)
  for await (const { type, payload } of command) {
    if (type === FrameType.stdout) await written(channel, channel, payload)
    else if (type === FrameType.stderr) await written(channel, channel.stderr, payload)
    else if (type === FrameType.exit) return tellExit(channel, Exit.parse(JSON.parse(payload.toString())))
    else if (type === FrameType.error) {
      throw GibilError.fromBody(JSON.parse(payload.toString()), 'The command could not go on.')
    }
  }
}

async function passInput(channel: ServerChannel, command: CommandChannel): Promise<void> {
  // The end of its input is not that of the channel.
  for await (const chunk of channel.iterator({ destroyOnReturn: false })) await command.send(FrameType.stdin, chunk)
  await command.send(FrameType.stdinEnd, Buffer.alloc(0))
}

/** Resolves when the client has room for it, or is gone. */
function written(channel: ServerChannel, stream: Writable, data: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      channel.off('close', done)
      resolve()
    }
    channel.once('close', done)
    stream.write(data, done)
  })
}

function tellExit(channel: ServerChannel, { exitCode, signal }: Exit): void {
  if (!channel.writable) return
  if (exitCode !== null) channel.exit(exitCode)
  else channel.exit((signal ?? 'SIGKILL').replace(/^SIG/, ''))
}
