import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Client, ClientChannel } from 'ssh2'

/** What ssh2 grants a channel to send ahead: MAX_WINDOW of its lib/Channel.js. */
const grantedBytes = 2 * 1024 * 1024

/**
 * A machine may send a channel no more than it was granted; ssh2 does not see to that. One that goes on regardless would fill this process, so the connection
 * ends.
 */
export function guardWindow(channel: ClientChannel, client: Client, socket: Socket): void {
  guard(channel, client, socket)
  if (channel.stderr) guard(channel.stderr, client, socket)
}

function guard(stream: Readable, client: Client, socket: Socket): void {
  const push = stream.push.bind(stream)
  stream.push = (chunk: Buffer | null) => {
    if (chunk !== null && stream.readableLength + chunk.length > 2 * grantedBytes) {
      client.emit('error', new Error('the machine sent more than it was allowed to'))
      socket.destroy()
      return false
    }
    return push(chunk)
  }
}
