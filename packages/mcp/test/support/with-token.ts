import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

export interface Front extends AsyncDisposable {
  readonly url: string
}

/** In front of a daemon for clients that cannot be told of a token: passes everything on as it is, Host and Origin too, and adds the token. */
export async function withToken(daemon: string, token: string): Promise<Front> {
  const { port } = new URL(daemon)
  const server = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming
    const onward = request(
      { host: '127.0.0.1', port, method, path: url, headers: { ...headers, authorization: `Bearer ${token}` } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        outgoing.flushHeaders()
        pipeline(answer, outgoing, () => undefined)
      },
    )
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
