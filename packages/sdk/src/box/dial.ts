import type { Duplex } from 'node:stream'
import type { Transport } from '../connect/transport.ts'
import { openWebSocket } from '../connect/websocket.ts'

/** A TCP connection to a port in the box. Ending one side leaves the other open, as with TCP. */
export async function dialPort(transport: Transport, box: string, port: number, signal?: AbortSignal): Promise<Duplex> {
  const socket = await openWebSocket(transport, `${box}/dial`, { query: { port }, signal })
  const { createWebSocketStream } = await import('ws')
  const stream = createWebSocketStream(socket, { readableObjectMode: false })
  const abort = (): void => void stream.destroy()
  signal?.addEventListener('abort', abort, { once: true })
  stream.once('close', () => signal?.removeEventListener('abort', abort))
  return stream
}
