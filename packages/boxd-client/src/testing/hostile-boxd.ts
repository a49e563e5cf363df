import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Dial } from '../types.ts'

export interface HostileBoxd extends AsyncDisposable {
  readonly dial: Dial
}

/** A server that does what it is told with each connection, once the first bytes of a request have come. */
export async function startHostile(behave: (socket: Socket) => void): Promise<HostileBoxd> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
    socket.once('data', () => behave(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    async dial() {
      const socket = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
      await once(socket, 'connect')
      return socket
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Writes the same bytes as fast as they are taken, until the connection ends; says how many were taken. */
export function pour(socket: Socket, bytes: Buffer): { readonly taken: () => number } {
  const more = (): void => {
    while (!socket.destroyed && socket.write(bytes)) {
      if (socket.bytesWritten > 256 * 1024 * 1024) throw new Error('256 MiB were taken')
    }
  }
  socket.on('drain', more)
  more()
  return { taken: () => socket.bytesWritten }
}
