import type { IncomingHttpHeaders } from 'node:http'
import { GibilError } from '@gibil/contract'
import type { Caller } from '@gibil/core'
import type { Api } from '../api.ts'
import { boxdOf } from '../boxd-access.ts'
import { bearerOf, checkPlace, isSecret } from './guard.ts'

/**
 * Who sends a request: null is the administrator, who comes by the unix socket (`trusted`) or has the token of the home. Throws
 * `forbidden`, `unauthorized`.
 */
export async function callerOf(headers: IncomingHttpHeaders, trusted: boolean, api: Api): Promise<Caller | null> {
  if (trusted) return null
  checkPlace(headers)
  const secret = bearerOf(headers)
  if (isSecret(secret, api.daemon.token)) return null
  if (!secret.startsWith('gibil_')) throw new GibilError('unauthorized', 'The token is wrong.')
  await api.daemon.ready
  return api.control.tokens.authenticate(secret)
}

/** What a caller has of the API. */
export function apiOf(caller: Caller | null, api: Api): Api {
  if (caller === null) return api
  const { images, hostChecks, metrics, log, daemon } = api
  const plane = api.control.as(caller.name)
  return {
    plane,
    get control(): never {
      throw administratorOnly()
    },
    boxd: boxdOf(plane),
    output: daemon.outputOf(caller.name),
    images,
    hostChecks,
    metrics,
    log,
    daemon,
  }
}

export const administratorOnly = (): GibilError =>
  new GibilError(
    'administrator_only',
    'A token reaches its own boxes only; this is for the administrator of the daemon.',
  )
