import * as z from 'zod'
import { checked } from '../http/validate.ts'
import { port } from '../routes/query.ts'
import { bytesOf, sendBinary } from './send.ts'
import type { WebSocketHandler } from './upgrade.ts'

export const DialQuery = z.strictObject({ port })

/**
 * A TCP connection to a port in the box: bytes in binary messages, both ways. An empty message says that its side sends no
 * more (half-close). Errors of the connection come as an ordinary answer before the upgrade.
 */
export const dial: WebSocketHandler = async ({ box, search, signal, accept }, api) => {
  const query = checked(DialQuery, Object.fromEntries(search), 'query')
  const connection = await api.boxd(box, signal, { use: 'port' }).dial(query.port)
  connection.on('error', () => connection.destroy())
  const socket = await accept().catch((error: unknown) => {
    connection.destroy()
    throw error
  })

  socket.on('error', () => socket.terminate())
  socket.once('close', () => connection.destroy())
  connection.once('close', () => socket.close(1000))

  connection.on('data', (chunk: Buffer) => {
    const full = sendBinary(socket, chunk)
    if (!full) return
    connection.pause()
    void full.then(() => connection.resume())
  })
  connection.once('end', () => void sendBinary(socket, new Uint8Array()))

  socket.on('message', (data) => {
    const bytes = bytesOf(data)
    if (connection.destroyed || connection.writableEnded) return
    if (bytes.length === 0) {
      connection.end()
    } else if (!connection.write(bytes)) {
      socket.pause()
      connection.once('drain', () => socket.resume())
    }
  })
}
