import { type CreateToken, GibilError, type NewToken, parseDuration, type Token } from '@gibil/contract'
import { checkTokenName } from '../box/names.ts'
import type { TokenRecord } from '../token-record.ts'
import { hex } from '../util/hex.ts'
import { amountsOf } from './amounts.ts'
import type { ControlPlaneDeps } from './deps.ts'

/** Who calls, when it is not the administrator. */
export interface Caller {
  readonly name: string
  /** Calls back when the token is revoked, with the error that its calls get then. The returned function takes it back. */
  onRevoked(listener: (reason: GibilError) => void): () => void
}

/** The tokens of everyone but the administrator. Methods throw GibilError only. */
export interface Tokens {
  /** Throws `invalid_name`, `name_in_use`, `invalid_duration`. */
  create(input: CreateToken): Promise<NewToken>
  /** By name. */
  list(): Promise<Token[]>
  /** Its calls are refused from now on; its boxes live on by their lease. Throws `token_not_found`. */
  revoke(name: string): Promise<void>
  /** Throws `unauthorized`. */
  authenticate(secret: string): Promise<Caller>
}

/** Of its secrets, in bytes: SDKs of E2B look at the length. */
const secretBytes = { gibil: 32, e2b: 20 } as const
const secretForm = /^(?:gibil_[0-9a-f]{64}|e2b_[0-9a-f]{40})$/

type Deps = Pick<ControlPlaneDeps, 'store' | 'volumes' | 'clock' | 'random' | 'digest'>

export function createTokens(deps: Deps): Tokens {
  const { store, clock, random, digest } = deps
  /** Of the tokens that have calls open, by hash. */
  const listeners = new Map<string, Set<(reason: GibilError) => void>>()

  const view = async ({ name, limits, createdAt, expiresAt }: TokenRecord): Promise<Token> => ({
    name,
    limits,
    used: await amountsOf(deps, name),
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
  })
  const callerOf = ({ name, hash }: TokenRecord): Caller => ({
    name,
    onRevoked(listener) {
      const all = listeners.get(hash) ?? new Set()
      listeners.set(hash, all.add(listener))
      return () => {
        all.delete(listener)
        if (all.size === 0 && listeners.get(hash) === all) listeners.delete(hash)
      }
    },
  })

  return {
    async create({
      name,
      maxBoxes = null,
      maxCpu = null,
      maxMemoryMib = null,
      maxDiskMib = null,
      ttl,
      form = 'gibil',
    }) {
      checkTokenName(name)
      const createdAt = clock.now()
      const secret = `${form}_${hex(random(secretBytes[form]))}`
      const record: TokenRecord = {
        name,
        hash: digest(secret),
        limits: { boxes: maxBoxes, cpu: maxCpu, memoryMib: maxMemoryMib, diskMib: maxDiskMib },
        createdAt,
        expiresAt: ttl === undefined ? null : createdAt + parseDuration(ttl),
      }
      await store.insertToken(record)
      return { ...(await view(record)), secret }
    },
    list: async () => Promise.all((await store.listTokens()).map(view)),
    async revoke(name) {
      const token = await store.getToken(name)
      if (!token || !(await store.removeToken(name))) {
        throw new GibilError('token_not_found', `There is no token "${name.slice(0, 80)}".`)
      }
      const reason = new GibilError('unauthorized', `The token "${name}" was revoked.`)
      for (const listener of [...(listeners.get(token.hash) ?? [])]) listener(reason)
    },
    async authenticate(secret) {
      const token = secretForm.test(secret) ? await store.findTokenByHash(digest(secret)) : undefined
      if (!token) throw new GibilError('unauthorized', 'The token is wrong, or was revoked.')
      if (token.expiresAt !== null && token.expiresAt <= clock.now()) {
        throw new GibilError('unauthorized', `The token "${token.name}" expired.`, {
          hint: 'Ask the administrator for another.',
        })
      }
      return callerOf(token)
    },
  }
}
