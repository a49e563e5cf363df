import { Duplex } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import type { Connection } from './connection.ts'

/**
 * A channel as an ordinary stream. ssh2 alone would end it as if all was said when the connection is lost, never answer a write into a closed
 * channel, and keep in memory what the socket does not take.
 */
export function streamOver(channel: ClientChannel, connection: Connection): Duplex {
  const { socket } = connection
  /** The write that waits for the socket or the window; it never hears from ssh2 when the channel closes. */
  let waiting: ((error?: Error | null) => void) | undefined
  const settle = (error?: Error | null): void => {
    const callback = waiting
    waiting = undefined
    socket.off('drain', onDrain)
    callback?.(error)
  }
  const onDrain = (): void => settle()

  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => void channel.resume(),
    write(chunk: Buffer, _encoding, callback) {
      waiting = callback
      channel.write(chunk, (error) => {
        if (waiting !== callback) return
        if (error || !socket.writableNeedDrain) settle(error)
        else socket.once('drain', onDrain)
      })
    },
    final(callback) {
      channel.end()
      callback()
    },
    destroy(error, callback) {
      forget()
      settle(error ?? new Error('The stream was closed.'))
      // What still comes until the other side has closed as well is for nobody.
      channel.resume()
      channel.destroy()
      callback(error)
    },
  })
  const forget = connection.onLost((why) => stream.destroy(why))
  channel.on('data', (chunk: Buffer) => {
    if (!stream.destroyed && !stream.push(chunk)) channel.pause()
  })
  channel.on('end', () => void (stream.destroyed || stream.push(null)))
  channel.on('close', () => {
    if (waiting) stream.destroy(new Error('The other side closed the stream.'))
    else if (!stream.writableEnded) stream.end()
  })
  channel.on('error', (error: Error) => stream.destroy(error))
  return stream
}
