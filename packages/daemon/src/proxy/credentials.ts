import type { IncomingMessage } from 'node:http'

/** The parameter, cookie and header by which a visitor of a private port shows the token of that port. */
export const tokenParameter = 'gibil_token'
export const tokenHeader = 'x-gibil-token'
export const cookieName = (boxId: string, port: number): string => `gibil_${boxId}_${port}`

/** The token of the home and those of callers have forms that no program in a box should be shown. */
const ownCookie = /^gibil_[a-z0-9]+_\d{1,5}$/
const callerToken = /^gibil_[0-9a-f]{64}$/

/** What a request shows, and its address without it. */
export interface Credentials {
  readonly header: string | undefined
  readonly bearer: string | undefined
  readonly cookies: readonly string[]
  readonly query: string | undefined
  readonly url: string
}

export function credentialsOf(request: IncomingMessage, boxId: string, port: number): Credentials {
  const header = request.headers[tokenHeader]
  const wanted = cookieName(boxId, port)
  const { url, token } = withoutToken(request.url ?? '/')
  return {
    header: typeof header === 'string' ? header : undefined,
    bearer: bearerIn(request.headers.authorization),
    cookies: isOfItself(request)
      ? pairsIn(request.headers.cookie).flatMap(([name, value]) => (name === wanted ? [value] : []))
      : [],
    query: token,
    url,
  }
}

/** A browser sends cookies by itself: they say nothing when a page of another place, such as of another box, makes it send a request. */
function isOfItself({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`
}

const bearerIn = (authorization: string | undefined): string | undefined =>
  /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]

const pairsIn = (cookie: string | undefined): [name: string, value: string][] =>
  (cookie ?? '').split(';').flatMap((pair) => {
    const at = pair.indexOf('=')
    return at === -1 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()]]
  })

/** Takes the token out of a path with a query; everything else stays as it was written. */
export function withoutToken(url: string): { url: string; token: string | undefined } {
  const at = url.indexOf('?')
  if (at === -1) return { url, token: undefined }
  const parts = url.slice(at + 1).split('&')
  const own = (part: string): boolean => part === tokenParameter || part.startsWith(`${tokenParameter}=`)
  const token = parts.find(own)?.slice(tokenParameter.length + 1)
  if (token === undefined) return { url, token }
  const rest = parts.filter((part) => !own(part)).join('&')
  return { url: rest === '' ? url.slice(0, at) : `${url.slice(0, at)}?${rest}`, token }
}

/** A Cookie header without what is ours; undefined when nothing else is in it. */
export function foreignCookies(cookie: string): string | undefined {
  const kept = cookie.split(';').filter((pair) => !ownCookie.test((pair.split('=')[0] ?? '').trim()))
  const text = kept.join(';').trim()
  return text === '' ? undefined : text
}

/** Whether an Authorization header is for Gibil, and not for the program in the box. */
export function isOurs(authorization: string, isKnown: (token: string) => boolean): boolean {
  const token = bearerIn(authorization)
  return token !== undefined && (callerToken.test(token) || isKnown(token))
}
