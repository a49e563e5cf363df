import type { Duplex } from 'node:stream'
import type { ServerChannel } from 'ssh2'

/** Joins a connection in a box with a channel, half-close included; the end of one in any other way is the end of the other. */
export function join(inside: Duplex, channel: ServerChannel): void {
  inside.on('error', () => inside.destroy())
  channel.on('error', () => channel.destroy())
  let ended = 0
  const end = (): void => {
    ended += 1
    if (ended === 2) channel.end()
  }
  channel.pipe(inside)
  channel.once('end', end)
  channel.once('close', () => inside.destroy())
  inside.pipe(channel, { end: false })
  inside.once('end', () => {
    // Ending a channel of a server closes it both ways; this says only that nothing more comes, once all of it has gone.
    channel.write('', () => channel.eof())
    end()
  })
  inside.once('close', () => channel.end())
}
