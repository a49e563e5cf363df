import type { IncomingMessage } from 'node:http'
import { GibilError } from '@gibil/contract'
import { foreignCookies, tokenHeader } from './credentials.ts'

/** Names and values in turn, as Node has and takes them. */
type RawHeaders = readonly string[]
type Header = readonly [name: string, value: string]

/** What is for one connection only (RFC 9110 section 7.6.1), beside what Connection itself names. */
const ofConnection = ['connection', 'proxy-connection', 'keep-alive', 'te', 'transfer-encoding', 'upgrade']
/** Set by us, or for us. */
const ofProxy = [
  ...['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-real-ip'],
  ...['proxy-authorization', tokenHeader],
]
/** Not even Connection takes these away: without them a message means something else. */
const firm = new Set(['host', 'content-length', 'cookie', 'authorization', 'set-cookie'])

function pairs(raw: RawHeaders): Header[] {
  const found: Header[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) found.push([raw[index] ?? '', raw[index + 1] ?? ''])
  return found
}

const tokens = (value: string | undefined): string[] =>
  (value ?? '').split(',').flatMap((token) => (token.trim() === '' ? [] : [token.trim().toLowerCase()]))

function endToEnd(raw: RawHeaders, connection: string | undefined, also: readonly string[] = []): Header[] {
  const dropped = new Set([...tokens(connection).filter((name) => !firm.has(name)), ...ofConnection, ...also])
  return pairs(raw).filter(([name]) => !dropped.has(name.toLowerCase()))
}

/** The protocol that a request may be upgraded to; undefined when it asks for none, or has a body, which comes first. */
export function upgradeOf({ headers }: IncomingMessage): string | undefined {
  const { upgrade } = headers
  if (upgrade === undefined || !tokens(headers.connection).includes('upgrade')) return undefined
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  // HTTP/2 would carry requests past us.
  return hasBody || tokens(upgrade).some((protocol) => protocol === 'h2c' || protocol.startsWith('http/'))
    ? undefined
    : upgrade
}

/** Refuses what could mean one thing here and another in the box. Node's parser refuses the rest. Throws `invalid_request`. */
export function checkFraming({ headers, rawHeaders, url = '', method }: IncomingMessage): void {
  const hosts = pairs(rawHeaders).filter(([name]) => name.toLowerCase() === 'host')
  const coding = headers['transfer-encoding']
  if (hosts.length > 1) throw new GibilError('invalid_request', 'The request has more than one Host header.')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    throw new GibilError('invalid_request', 'The body is in a transfer coding other than chunked.')
  }
  if (coding !== undefined && headers['content-length'] !== undefined) {
    throw new GibilError('invalid_request', 'The body has a length and is chunked as well.')
  }
  if (!url.startsWith('/') && !(url === '*' && method === 'OPTIONS')) {
    throw new GibilError('invalid_request', 'The request names its target in a form that is for proxies.')
  }
}

/** The headers of a request as the program in the box gets them. `ours`: whether an Authorization is for us. */
export function requestHeaders(
  request: IncomingMessage,
  upgrade: string | undefined,
  ours: (authorization: string) => boolean,
  host?: string,
): string[] {
  const { headers, method = 'GET' } = request
  const chunked = headers['transfer-encoding'] !== undefined
  const kept = endToEnd(request.rawHeaders, headers.connection, chunked ? ofProxy : [...ofProxy, 'trailer']).flatMap(
    ([name, value]): Header[] => {
      const lower = name.toLowerCase()
      if (lower === 'authorization' && ours(value)) return []
      if (lower === 'host' && host !== undefined) return [[name, host]]
      if (lower !== 'cookie') return [[name, value]]
      const cookies = foreignCookies(value)
      return cookies === undefined ? [] : [[name, cookies]]
    },
  )
  const trailers = upgrade === undefined && tokens(String(headers['te'] ?? '')).includes('trailers')
  const added: Header[] = [
    ['X-Forwarded-For', request.socket.remoteAddress ?? '127.0.0.1'],
    ['X-Forwarded-Host', headers.host ?? ''],
    ['X-Forwarded-Proto', 'encrypted' in request.socket ? 'https' : 'http'],
    // One request for each connection to the box: see ADR 19.
    ['Connection', upgrade !== undefined ? 'Upgrade' : trailers ? 'close, TE' : 'close'],
  ]
  if (upgrade !== undefined) added.push(['Upgrade', upgrade])
  if (trailers) added.push(['TE', 'trailers'])
  if (chunked) added.push(['Transfer-Encoding', 'chunked'])
  else if (headers['content-length'] === undefined && bodyIsUsual.has(method)) added.push(['Content-Length', '0'])
  return [...kept, ...added].flat()
}

const bodyIsUsual = new Set(['POST', 'PUT', 'PATCH'])

/** The headers of an answer as the client gets them. `chunked`: whether it will come in chunks, which alone may have trailers. */
export function responseHeaders(answer: IncomingMessage, chunked: boolean): string[] {
  const also = [
    'proxy-authenticate',
    ...(chunked ? [] : ['trailer']),
    ...(answer.headers['transfer-encoding'] === undefined ? [] : ['content-length']),
  ]
  return endToEnd(answer.rawHeaders, answer.headers.connection, also).flat()
}

/** The head of an answer that ends HTTP on a connection. */
export function upgradedHead(answer: IncomingMessage): Buffer {
  const kept = [...endToEnd(answer.rawHeaders, answer.headers.connection, ['content-length'])]
  kept.push(['Connection', 'Upgrade'], ['Upgrade', answer.headers.upgrade ?? ''])
  const lines = kept.map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`, 'latin1')
}

const neverTrailers = new Set([...ofConnection, ...ofProxy, ...firm, 'trailer'])

/** Trailers that may be passed on: none that a message is understood by (RFC 9110 section 6.5.1). */
export const trailersOf = ({ rawTrailers }: IncomingMessage): [string, string][] =>
  pairs(rawTrailers).flatMap(([name, value]) => (neverTrailers.has(name.toLowerCase()) ? [] : [[name, value]]))
