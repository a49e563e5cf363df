import { type Amounts, formatBytes, GibilError, type TokenLimits } from '@gibil/contract'

const mib = 1024 * 1024
const bytes = (amount: number): string => formatBytes(amount * mib)
/** Sums of fractions of a CPU are not exact. */
const cpus = (amount: number): number => Number(amount.toFixed(3))

const kinds: readonly {
  readonly limit: keyof Amounts
  readonly write: (amount: number) => string
}[] = [
  { limit: 'boxes', write: (amount) => `${amount} boxes` },
  { limit: 'cpu', write: (amount) => `${cpus(amount)} vCPUs` },
  { limit: 'memoryMib', write: (amount) => `${bytes(amount)} of memory` },
  { limit: 'diskMib', write: (amount) => `${bytes(amount)} of disk` },
]

/** Throws `limit_reached` for the first limit that would be passed. What is not asked for is not looked at. */
export function checkLimits(owner: string, limits: TokenLimits, used: Amounts, asked: Amounts): void {
  for (const { limit, write } of kinds) {
    const allowed = limits[limit]
    if (allowed === null || asked[limit] === 0 || cpus(used[limit] + asked[limit]) <= allowed) continue
    throw new GibilError(
      'limit_reached',
      `The boxes of "${owner}" take ${write(used[limit])} of the ${write(allowed)} that its limit allows; ${write(asked[limit])} more were asked for.`,
      {
        hint: 'Destroy a box that is not needed (`gibil list`), ask for a smaller size, or have the administrator raise the limit.',
        details: { limit, used: used[limit], asked: asked[limit], allowed },
      },
    )
  }
}
