import { formatMoney, hourlyOf } from '@gibil/sdk'

/** What an hour of a machine with its address costs. */
export const hourly = (price: Parameters<typeof hourlyOf>[0]): string => formatMoney(hourlyOf(price), price.currency)
