import { type CreateToken, NewToken, Token } from '@gibil/contract'
import * as z from 'zod'
import type { Transport } from './connect/transport.ts'

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** Callers beside the administrator, each with boxes and limits of its own. For the administrator only. */
export interface Tokens {
  /** The answer holds the secret, which is shown this once. */
  create(input: CreateToken, options?: Cancel): Promise<NewToken>
  list(options?: Cancel): Promise<Token[]>
  /** Its boxes live on by their lease. Throws `token_not_found`. */
  revoke(name: string, options?: Cancel): Promise<void>
}

export function createTokens(transport: Transport): Tokens {
  return {
    create: (body, options = {}) => transport.call(NewToken, 'POST', '/tokens', { body, ...options }),
    list: (options = {}) => transport.call(z.array(Token), 'GET', '/tokens', options),
    revoke: (name, options = {}) => transport.send('DELETE', `/tokens/${encodeURIComponent(name)}`, options),
  }
}
