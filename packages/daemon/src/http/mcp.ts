import type { ServerFactory } from '@gibil/mcp'
import { Gibil } from '@gibil/sdk'
import type { Api } from '../api.ts'
import { version } from '../version.ts'
import { type Application, admit, type Ctx, failed, watch } from './application.ts'
import { readJson } from './body.ts'
import { bearerOf } from './guard.ts'

/**
 * The tools of an agent at `/mcp`. Whoever may call the API may call them, by the same checks of token, Host and Origin, and with the same boxes: each
 * request calls back with the token that it came with.
 */
export function mountMcp(app: Application, api: Api, own?: ServerFactory): void {
  app.all('/mcp', async (c) => {
    const call = watch(c, '/mcp', api)
    try {
      await admit(c, call, api)
      await api.daemon.ready
      const { incoming, outgoing } = c.env
      const body = incoming.method === 'POST' ? await readJson(incoming, outgoing) : undefined
      const gibil = asCaller(c, api)
      call.atEnd(() => gibil.close())
      // Loaded when it is needed: a daemon without agents starts without it.
      const { createServer, serveOverHttp } = await import('@gibil/mcp')
      const request = new Request(c.req.url, {
        method: c.req.method,
        headers: c.req.raw.headers,
        signal: AbortSignal.any([call.signal, api.daemon.stopping]),
      })
      const factory = own ?? (() => createServer({ gibil, local: null }, version))
      const { response, end } = await serveOverHttp(factory, request, body)
      call.atEnd(() => void end())
      return response
    } catch (error) {
      return failed(c, error, call.signal, api)
    }
  })
}

/** This daemon as the caller of a request sees it. */
function asCaller(c: Ctx, api: Api): Gibil {
  const { incoming, trusted } = c.env
  if (trusted) return Gibil.connect({ home: api.daemon.version().home })
  return Gibil.connect({
    url: `http://127.0.0.1:${incoming.socket.localPort}`,
    token: bearerOf(incoming.headers),
  })
}
