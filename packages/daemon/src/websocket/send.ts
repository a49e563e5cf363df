import type { WebSocket } from 'ws'

/** What may wait in memory for one slow client before its source is no longer read. */
const highWaterBytes = 1024 * 1024

/** Sends a binary message; resolves when there is room for more, or the socket has closed. */
export function sendBinary(socket: WebSocket, message: Uint8Array): Promise<void> | undefined {
  if (socket.readyState !== socket.OPEN) return undefined
  if (socket.bufferedAmount + message.byteLength < highWaterBytes) {
    socket.send(message, ignoreError)
    return undefined
  }
  return new Promise((resolve) => {
    // A socket that dies while it is full need not call back for what it still held.
    const done = (): void => {
      socket.off('close', done)
      resolve()
    }
    socket.once('close', done)
    socket.send(message, done)
  })
}

/** A failed send is followed by `close`, where it is dealt with. */
const ignoreError = (): void => undefined

/** The bytes of a message, however `ws` holds them. */
export function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data)
  return Buffer.isBuffer(data) ? data : Buffer.from(data)
}
