import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { bytesOf, sendBinary } from './send.ts'

/** Bytes in binary messages, both ways, each no faster than the other side takes them. An empty message says that its side sends no more (half-close). */
export function joinWebSocket(socket: WebSocket, connection: Duplex): void {
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
