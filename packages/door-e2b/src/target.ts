import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { GibilError, PortNumber } from '@gibil/contract'

/** Where a request is to go: to the API, or to a port of a sandbox. */
export type Target = { readonly kind: 'api' } | { readonly kind: 'sandbox'; readonly id: string; readonly port: number }

/** The port at which SDKs reach what runs commands and serves files. */
export const envdPort = 49983

const label = /^(\d{1,5})-([a-z0-9]+)(?:-[a-z0-9]+)?$/
const id = /^([a-z0-9]+)(?:-[a-z0-9]+)?$/

/**
 * Reads host name and headers as E2B's own proxy does: the left-most label names port and sandbox; the headers count only where the host
 * cannot. Throws `invalid_request` for half of the headers.
 */
export function targetOf(headers: IncomingHttpHeaders): Target {
  const host = hostOf(headers)
  const [, digits, box] = label.exec(host.split('.')[0] ?? '') ?? []
  if (box !== undefined) return sandbox(box, digits ?? '')
  const given = headers['e2b-sandbox-id']
  const port = headers['e2b-sandbox-port']
  if (given === undefined && port === undefined) return { kind: 'api' }
  if (!isShared(host)) return { kind: 'api' }
  if (typeof given !== 'string' || typeof port !== 'string') {
    throw new GibilError('invalid_request', 'E2b-Sandbox-Id and E2b-Sandbox-Port must be given together.')
  }
  const [, named] = id.exec(given) ?? []
  if (named === undefined) throw new GibilError('invalid_request', `"${given.slice(0, 80)}" is no id of a sandbox.`)
  return sandbox(named, port)
}

function sandbox(boxId: string, digits: string): Target {
  const port = PortNumber.safeParse(Number(digits))
  if (!port.success) throw new GibilError('invalid_request', `"${digits.slice(0, 20)}" is no port.`)
  return { kind: 'sandbox', id: boxId, port: port.data }
}

/** The host that is asked for, without its port, in lower case. HTTP/2 has it in a header of its own. */
function hostOf(headers: IncomingHttpHeaders): string {
  const host = String(headers[':authority'] ?? headers.host ?? '').toLowerCase()
  return host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d+$/, '')
}

const isShared = (host: string): boolean => host === 'localhost' || isIP(host) !== 0 || host.startsWith('sandbox.')

/** The port that a host name has before its first dash, if it is that of a sandbox. */
export function portLabel(host: string): number | undefined {
  const [, digits] = label.exec(host.split('.')[0]?.toLowerCase() ?? '') ?? []
  return digits === undefined ? undefined : Number(digits)
}
