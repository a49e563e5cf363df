import { type Budget, formatMoney } from '@gibil/sdk'

/** What boxes of clouds may cost, and what of that is left today. */
export function budgetLine({ daily, perBox, planned, left }: Budget, currency = ''): string {
  const amount = (value: string): string => formatMoney(value, currency).trimEnd()
  const day =
    daily === null
      ? 'no budget of a day'
      : `budget of a day: ${amount(daily)}, of which ${amount(planned)} are taken until midnight UTC and ${amount(left ?? '0')} are left`
  return `${day}; ${perBox === null ? 'no budget of a box' : `budget of a box: ${amount(perBox)}`}`
}
