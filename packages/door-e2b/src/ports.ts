import { type Box, GibilError } from '@gibil/contract'
import type { Incoming } from './deps.ts'
import { sameSecret, tokensOf } from './tokens.ts'
import type { Sandbox } from './view.ts'

/** A request that may go to a port of a box. */
export interface PortVisit {
  readonly box: Box
  readonly port: number
  /** What the program is told to be called, instead of the name that was asked for. */
  readonly host: string | undefined
}

/** An answer to a request that may not, or that came to nothing. */
export interface PortRefusal {
  readonly status: number
  readonly body: Readonly<Record<string, string | number>>
}

export const notFound = (id: string): PortRefusal => ({
  status: 502,
  body: { sandboxId: id, message: 'The sandbox was not found', code: 502 },
})

const closed = (id: string, port: number): PortRefusal => ({
  status: 502,
  body: { sandboxId: id, message: 'The sandbox is running but port is not open', port, code: 502 },
})

const forbidden = (id: string, message: string): PortRefusal => ({
  status: 403,
  body: { sandboxId: id, message, code: 403 },
})

/** What E2B's proxy answers for an error of ours. */
export function refusalOf(error: GibilError, id: string, port: number): PortRefusal {
  if (error.code === 'port_closed') return closed(id, port)
  if (error.code === 'forbidden') return forbidden(id, error.message)
  if (error.code === 'unauthorized' || error.code === 'service_failed') {
    const status = error.code === 'unauthorized' ? 401 : 503
    return { status, body: { sandboxId: id, message: error.message, code: status } }
  }
  if (error.code === 'busy' || error.code === 'limit_reached') {
    return { status: 429, body: { sandboxId: id, message: error.message, code: 429 } }
  }
  return error.code === 'port_failed'
    ? { status: 502, body: { sandboxId: id, message: error.message, port, code: 502 } }
    : notFound(id)
}

/** Throws `forbidden` unless the ports of the sandbox are for everyone, or its token is shown. */
export function checkTraffic({ headers }: Incoming, { box, terms }: Sandbox, secret: string): void {
  if (terms.publicTraffic) return
  const given = headers['e2b-traffic-access-token']
  if (typeof given === 'string' && sameSecret(given, tokensOf(secret, box.id).traffic)) return
  throw new GibilError('forbidden', 'Sandbox traffic access token is missing or wrong: header e2b-traffic-access-token')
}

export const visitOf = ({ box, terms }: Sandbox, port: number): PortVisit => ({
  box,
  port,
  host: terms.maskRequestHost?.replace(/\$\{PORT\}/g, String(port)),
})
