import type { IncomingMessage } from 'node:http'
import { GibilError } from '@gibil/contract'
import { type Caller, notPublished, type Publication } from '@gibil/core'
import type { Api } from '../api.ts'
import { isSecret } from '../http/guard.ts'
import { type Credentials, cookieName, credentialsOf, isOurs, tokenParameter } from './credentials.ts'
import { checkFraming } from './headers.ts'
import { placeOf } from './host.ts'

/** A request that may go to its port. */
export interface Visit {
  readonly box: Pick<Publication['box'], 'id' | 'name' | 'status' | 'readiness'>
  readonly port: number
  /** What the program is told to be called, when that is not the name that was asked for. */
  readonly host?: string | undefined
  /** What is asked of the program, without a token. */
  readonly path: string
  /** Whether an Authorization header is for us, so that the program must not see it. */
  readonly ours: (authorization: string) => boolean
  /** Set when it came by the token of a caller, which may be revoked. */
  readonly caller: Caller | undefined
  /** The address had a token in it, and is to be left for one that has none, which this cookie opens. */
  readonly redirect: { readonly location: string; readonly cookie: string | undefined } | undefined
}

/**
 * Finds out which port is meant, and whether the visitor may see it, before anything of the box is touched: who may not does not wake
 * it either. Throws `not_found`, `box_not_found`, `port_not_published`, `unauthorized`, `invalid_request`.
 */
export async function admit(request: IncomingMessage, isUpgrade: boolean, api: Api): Promise<Visit> {
  checkFraming(request)
  const place = placeOf(request.headers.host)
  if (!place) throw notAPort(request.headers.host)
  await api.daemon.ready
  const { box, ports } = await api.control.published(place.box)
  const { port } = place
  const known = ports.find((one) => one.port === port)
  if (!known) throw notPublished(box.name, port)

  const shown = credentialsOf(request, box.id, port)
  const isKnown = (token: string): boolean => isSecret(token, known.secret) || isSecret(token, api.daemon.token)
  const bySecret = [shown.header, shown.bearer, shown.query, ...shown.cookies].some(
    (token) => token !== undefined && isSecret(token, known.secret),
  )
  const caller = known.public || bySecret ? undefined : await callerBy(shown, box.owner, api)
  if (!known.public && !bySecret && caller === undefined) throw isPrivate(box.name, port, shown)
  const redirects = shown.query !== undefined && !isUpgrade && ['GET', 'HEAD'].includes(request.method ?? '')
  return {
    box,
    port,
    path: shown.url,
    ours: (authorization) => isOurs(authorization, isKnown),
    caller: caller ?? undefined,
    redirect: redirects
      ? {
          // Whole, since a path that begins with two slashes would by itself lead to another place.
          location: `http://${request.headers.host?.toLowerCase()}${shown.url}`,
          cookie:
            !known.public && shown.query !== undefined && isSecret(shown.query, known.secret)
              ? `${cookieName(box.id, port)}=${known.secret}; Path=/; HttpOnly; SameSite=Lax`
              : undefined,
        }
      : undefined,
  }
}

/** By a token of the API, which may stand in a header only: null is the administrator, undefined nobody who may. */
async function callerBy(
  { header, bearer }: Credentials,
  owner: string | null,
  api: Api,
): Promise<Caller | null | undefined> {
  for (const token of [header, bearer]) {
    if (token === undefined) continue
    if (isSecret(token, api.daemon.token)) return null
    const caller = await api.control.tokens.authenticate(token).catch(() => undefined)
    if (caller && caller.name === owner) return caller
  }
  return undefined
}

const notAPort = (host: string | undefined): GibilError =>
  new GibilError('not_found', `"${(host ?? '').slice(0, 100)}" is not the address of a port of a box.`, {
    hint: 'Addresses look like http://3000-my-box.localhost; `gibil ports <box>` shows those of a box.',
  })

const isPrivate = (name: string, port: number, shown: Credentials): GibilError => {
  const given = [shown.header, shown.bearer, shown.query, ...shown.cookies].some((token) => token !== undefined)
  const why = given ? 'and the token that was given does not open it' : 'and no token was given'
  return new GibilError('unauthorized', `Port ${port} of the box "${name}" is private, ${why}.`, {
    hint: `Open the link that \`gibil publish ${name} ${port}\` prints, or send its token: header X-Gibil-Token, or ${tokenParameter} in the address.`,
  })
}
