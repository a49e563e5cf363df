import { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import type { Query, Transport } from '../connect/transport.ts'
import { openWebSocket } from '../connect/websocket.ts'

const chunkBytes = 256 * 1024

/** A TCP connection to a port in the box. */
export const dialPort = (transport: Transport, box: string, port: number, signal?: AbortSignal): Promise<Duplex> =>
  openBytes(transport, `${box}/dial`, { query: { port }, signal })

/** Bytes both ways. Ending one side leaves the other open, as with TCP; an empty message says so. */
export async function openBytes(
  transport: Transport,
  path: string,
  options: { readonly query?: Query; readonly signal?: AbortSignal | undefined },
): Promise<Duplex> {
  const { signal } = options
  const socket = await openWebSocket(transport, path, options)
  let theirsEnded = false
  const stream = new Duplex({
    allowHalfOpen: true,
    ...(signal ? { signal } : {}),
    read: () => socket.resume(),
    write(chunk: Buffer, _encoding, callback) {
      if (chunk.length === 0) return callback()
      for (let at = 0; at < chunk.length; at += chunkBytes) {
        const last = at + chunkBytes >= chunk.length
        socket.send(chunk.subarray(at, at + chunkBytes), last ? (error) => callback(error ?? null) : undefined)
      }
    },
    final(callback) {
      // Where both sides are done there is nobody to tell.
      if (socket.readyState !== socket.OPEN) return callback()
      socket.send(new Uint8Array(), (error) => callback(error ?? null))
    },
    destroy(error, callback) {
      socket.terminate()
      callback(error)
    },
  })
  socket.on('message', (data: Buffer) => {
    if (data.length === 0) {
      theirsEnded = true
      stream.push(null)
    } else if (!stream.push(data)) socket.pause()
  })
  socket.once('close', (code: number) => {
    if (code === 1000 || theirsEnded) {
      if (!theirsEnded) stream.push(null)
      stream.end()
    } else stream.destroy(new GibilError('interrupted', 'The connection to the box was lost.'))
  })
  socket.resume()
  return stream
}
