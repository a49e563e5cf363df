import { price, vatRate } from '../money.ts'
import { locations } from './locations.ts'
import { type ServerType, serverTypes } from './server-types.ts'

/** Euros, net, on the day of the server types; an hour of a primary IPv4, and GB-months. */
export const extras = {
  ipv4Hourly: '0.0008',
  ipv4Monthly: '0.50',
  imagePerGbMonth: '0.0143',
  volumePerGbMonth: '0.0572',
  backupPercentage: '20.00',
} as const

export const pricesOf = (type: ServerType): object[] =>
  type.prices.map(({ location, hourly, monthly, traffic }) => ({
    location,
    price_hourly: price(hourly),
    price_monthly: price(monthly),
    included_traffic: traffic.included,
    price_per_tb_traffic: price(traffic.perTb),
  }))

/** What `GET /pricing` gives. Floating IPs and load balancers cannot be made here, so they have no prices. */
export const pricing = (): object => ({
  currency: 'EUR',
  vat_rate: vatRate,
  image: { price_per_gb_month: price(extras.imagePerGbMonth) },
  floating_ip: { price_monthly: price('0') },
  floating_ips: [],
  load_balancer_types: [],
  primary_ips: [
    { type: 'ipv4', prices: everywhere(extras.ipv4Hourly, extras.ipv4Monthly) },
    { type: 'ipv6', prices: everywhere('0', '0') },
  ],
  server_backup: { percentage: extras.backupPercentage },
  server_types: serverTypes.map((type) => ({ id: type.id, name: type.name, prices: pricesOf(type) })),
  volume: { price_per_gb_month: price(extras.volumePerGbMonth) },
})

const everywhere = (hourly: string, monthly: string): object[] =>
  locations.map(({ name }) => ({ location: name, price_hourly: price(hourly), price_monthly: price(monthly) }))
