import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A TCP connection's way to a machine, which a test may cut. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /** Ends all connections without a word. */
  cut(): void
  /** Lets nothing through any more, without ending anything, as a network does that is gone. */
  freeze(): void
  thaw(): void
}

export async function startProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let frozen = false
  const server = createServer((incoming) => {
    if (frozen) return void incoming.destroy()
    const outgoing = connect({ port: target, host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      from.on('error', () => undefined)
      from.once('close', () => {
        sockets.delete(from)
        if (!frozen) to.destroy()
      })
      from.pipe(to)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cut,
    freeze() {
      frozen = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    thaw() {
      frozen = false
    },
    async [Symbol.asyncDispose]() {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}
