import type { TokenLimits } from '@gibil/contract'

/** A token as the store keeps it. Times are milliseconds since the epoch. */
export interface TokenRecord {
  readonly name: string
  /** SHA-256 of the secret, in hex. The secret has 160 random bits or more, so that nothing slower is needed. */
  readonly hash: string
  readonly limits: TokenLimits
  readonly createdAt: number
  readonly expiresAt: number | null
}
