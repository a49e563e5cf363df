import { timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { GibilError } from '@gibil/contract'

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

/**
 * What a request over TCP must show. A web page in a browser on this machine can send requests here, also by a name of its own
 * that it lets point to 127.0.0.1 (DNS rebinding): so Host must be a loopback name and Origin absent or the same
 * place. Throws `forbidden`.
 */
export function checkPlace(headers: IncomingHttpHeaders): void {
  const host = headers.host ?? ''
  if (!loopback.test(host)) {
    throw new GibilError('forbidden', `The Host header names "${host.slice(0, 100)}", which is not this machine.`)
  }
  const origin = headers.origin
  if (origin !== undefined && origin !== `http://${host}`) {
    throw new GibilError('forbidden', `Requests from pages of "${origin.slice(0, 100)}" are not taken.`)
  }
}

/** Throws `unauthorized` unless the request carries the token; takes equally long for every wrong one. */
export function checkToken(headers: IncomingHttpHeaders, token: string): void {
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (given === undefined) throw new GibilError('unauthorized', 'The request carries no token.')
  const expected = Buffer.from(token)
  const actual = Buffer.alloc(expected.length)
  const length = actual.write(given)
  const same = timingSafeEqual(expected, actual)
  if (!same || length !== expected.length || given.length !== token.length) {
    throw new GibilError('unauthorized', 'The token is wrong.')
  }
}
