import { type IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import type { Api } from '../api.ts'
import { asGibilError } from '../http/errors.ts'
import { admit, type Visit } from './admit.ts'
import { forward } from './forward.ts'
import { requestHeaders, upgradeOf } from './headers.ts'
import { errorPage, type Page } from './page.ts'

interface Upgrade {
  readonly socket: Socket
  readonly head: Buffer
}

/** How long the rest of a body is read, and thrown away, after its answer is out: a client may take no answer before that. */
const lingerMs = 5_000

export interface PortProxy {
  request(incoming: IncomingMessage, outgoing: ServerResponse): void
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** Who may see a port, and what all others are told. */
export interface ProxyRules {
  /** Throws GibilError, which `page` makes an answer of. */
  admit(request: IncomingMessage, isUpgrade: boolean, api: Api): Promise<Visit>
  page(error: GibilError, accept: string | undefined, facts: { readonly comesSoon: boolean }): Page
  /** Whether a visit wakes a box that is paused. */
  readonly wakes: boolean
}

const published: ProxyRules = { admit, page: errorPage, wakes: true }

/** Serves requests for ports of boxes, whatever they are: nothing that comes of one is thrown. */
export function createProxy(api: Api, rules: ProxyRules = published): PortProxy {
  const { visits } = api.daemon.proxy
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse, upgrade?: Upgrade): Promise<void> => {
    const abort = new AbortController()
    outgoing.once('close', () => abort.abort(new GibilError('cancelled', 'The visitor went away.')))
    if (!upgrade) outgoing.once('finish', () => linger(incoming))
    let visit: Visit | undefined
    try {
      visit = await rules.admit(incoming, upgrade !== undefined, api)
      await pass(visit, incoming, outgoing, upgrade, abort.signal)
    } catch (thrown) {
      const error = asGibilError(thrown, abort.signal)
      api.log.debug({ box: visit?.box.id, code: error.code, message: error.message }, 'a visit of a port failed')
      if (error.code === 'internal' || error.code === 'driver_failed') api.log.error({ err: error }, 'a visit failed')
      refuse(error, visit, incoming, outgoing, rules)
    }
  }

  const pass = async (
    visit: Visit,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    upgrade: Upgrade | undefined,
    signal: AbortSignal,
  ): Promise<void> => {
    const { box, port, path, redirect, caller } = visit
    if (redirect) {
      if (redirect.cookie) outgoing.setHeader('set-cookie', redirect.cookie)
      const headers = { location: redirect.location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }
      outgoing.writeHead(303, headers).end()
      return
    }
    signal.throwIfAborted()
    const cut = (): void => void incoming.socket.destroy()
    const leave = visits.enter(box.id, port, cut)
    const forget = caller?.onRevoked(cut)
    try {
      const tunnel = await dial(visit, signal)
      // Lost before anybody listens to it; who uses it hears of it too.
      tunnel.on('error', () => tunnel.destroy())
      if (signal.aborted) {
        tunnel.destroy()
        throw signal.reason
      }
      const headers = requestHeaders(incoming, upgrade && upgradeOf(incoming), visit.ours, visit.host)
      await forward({ incoming, outgoing, path, headers, tunnel, upgrade })
    } finally {
      forget?.()
      leave()
    }
  }

  /** Wakes a paused box, and counts as use of it until the connection ends. */
  const dial = async ({ box, port }: Visit, signal: AbortSignal): Promise<Duplex> => {
    if (box.status === 'creating') {
      throw new GibilError('wrong_state', `The box "${box.name}" is being made.`, { hint: 'Try again in a moment.' })
    }
    try {
      return await api.boxd(box.id, signal, { use: 'port', quiet: !rules.wakes }).dial(port)
    } catch (thrown) {
      const error = asGibilError(thrown, signal)
      if (error.code === 'port_closed') throw closed(box, port, error)
      const asleep = box.status === 'paused' && error.code !== 'wrong_state' && error.code !== 'cancelled'
      if (!asleep) throw error
      const why = `The box "${box.name}" was paused and could not be woken: ${error.message}`
      throw new GibilError('wrong_state', why, { hint: `See \`gibil show ${box.name}\`.`, cause: error })
    }
  }

  return {
    request: (incoming: IncomingMessage, outgoing: ServerResponse): void => void serve(incoming, outgoing),
    upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
      socket.on('error', () => socket.destroy())
      if (!(socket instanceof Socket)) return void socket.destroy()
      socket.setNoDelay(true)
      const outgoing = new ServerResponse(incoming)
      outgoing.shouldKeepAlive = false
      outgoing.assignSocket(socket)
      outgoing.once('finish', () => socket.destroySoon())
      void serve(incoming, outgoing, { socket, head })
    },
  }
}

function closed({ name, readiness }: Visit['box'], port: number, cause: GibilError): GibilError {
  const still = readiness === 'ready' || readiness === 'failed' ? '' : ` Its set-up is not over (${readiness}).`
  return new GibilError('port_closed', `Nothing in the box "${name}" listens on port ${port}.${still}`, {
    hint: `Start the program that should: \`gibil run ${name} --detach -- <command>\`; \`gibil ports ${name}\` shows what listens.`,
    cause,
  })
}

function refuse(
  error: GibilError,
  visit: Visit | undefined,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { page }: Pick<ProxyRules, 'page'>,
): void {
  if (outgoing.headersSent || outgoing.destroyed) {
    // Part of an answer is out: only breaking the connection tells that the rest is missing.
    incoming.socket.destroy()
    return
  }
  const { box } = visit ?? {}
  const comesSoon = box?.status === 'creating' || (error.code === 'port_closed' && !settled.has(box?.readiness ?? ''))
  const { status, headers, body } = page(error, incoming.headers.accept, { comesSoon })
  if (incoming.headers.expect !== undefined) outgoing.shouldKeepAlive = false
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
}

const settled = new Set(['ready', 'failed'])

/** Lets a client send on for a while that does not listen before it has sent all. */
function linger(incoming: IncomingMessage): void {
  if (incoming.complete) return
  incoming.resume()
  const { socket } = incoming
  const patience = setTimeout(() => socket.destroy(), lingerMs)
  const over = (): void => clearTimeout(patience)
  incoming.once('end', over)
  socket.once('close', over)
}
