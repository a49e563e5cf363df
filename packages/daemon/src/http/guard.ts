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

/** The secret that a request carries. Throws `unauthorized` when there is none. */
export function bearerOf(headers: IncomingHttpHeaders): string {
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (given !== undefined) return given
  throw new GibilError('unauthorized', 'The request carries no token.')
}

/** Takes equally long for every secret that is not the one. */
export function isSecret(given: string, secret: string): boolean {
  const expected = Buffer.from(secret)
  const actual = Buffer.alloc(expected.length)
  const length = actual.write(given)
  return timingSafeEqual(expected, actual) && length === expected.length && given.length === secret.length
}
