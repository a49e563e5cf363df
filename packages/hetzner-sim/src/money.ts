/** Amounts of money as whole numbers of 10^-10, so that no sum loses anything. */
export type Money = bigint

const digits = 10

/** Reads a decimal such as `5.49`; it may have 10 digits after the point at most. */
export function money(text: string): Money {
  const [, whole, fraction = ''] = /^(\d+)(?:\.(\d{1,10}))?$/.exec(text) ?? []
  if (whole === undefined) throw new RangeError(`"${text}" is no amount of money`)
  return BigInt(whole + fraction.padEnd(digits, '0'))
}

/** Writes an amount with 10 digits after the point. */
export function formatMoney(amount: Money): string {
  const text = amount.toString().padStart(digits + 1, '0')
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`
}

export const vatRate = '19.000000'

/** As the API writes prices: net with 10 digits, gross (19 % more) with 16. */
export function price(net: string): { net: string; gross: string } {
  const amount = money(net)
  const gross = (amount * 119n).toString().padStart(13, '0')
  return { net: formatMoney(amount), gross: `${gross.slice(0, -12)}.${gross.slice(-12)}0000` }
}
