import type { ApiPricing, ApiServerType } from '../client/schemas.ts'
import type { Catalog } from '../plan.ts'

const eu = ['fsn1', 'nbg1', 'hel1']

type Row = readonly [name: string, cores: number, memory: number, disk: number, hourly: string, monthly: string]

/** Of Hetzner's price list of 2026-09-29, EUR net. */
const rows: readonly Row[] = [
  ['cx23', 2, 4, 40, '0.0088', '5.49'],
  ['cx33', 4, 8, 80, '0.0136', '8.49'],
  ['cx43', 8, 16, 160, '0.0256', '15.99'],
  ['cax11', 2, 4, 40, '0.0096', '5.99'],
  ['cpx22', 2, 4, 80, '0.0312', '19.49'],
  ['cpx32', 4, 8, 160, '0.0569', '35.49'],
  ['cpx42', 8, 16, 320, '0.1114', '69.49'],
  ['ccx13', 2, 8, 80, '0.0689', '42.99'],
  ['ccx63', 48, 192, 960, '1.3678', '853.49'],
]

const toType = ([name, cores, memory, disk, hourly, monthly]: Row, index: number): ApiServerType => ({
  id: 100 + index,
  name,
  architecture: name.startsWith('cax') ? 'arm' : 'x86',
  cores,
  memory,
  disk,
  deprecated: false,
  locations: eu.map((location) => ({ name: location, available: true, deprecation: null })),
  prices: eu.map((location) => ({ location, price_hourly: { net: hourly }, price_monthly: { net: monthly } })),
})

const pricing: ApiPricing = {
  currency: 'EUR',
  primary_ips: [
    {
      type: 'ipv4',
      prices: eu.map((location) => ({
        location,
        price_hourly: { net: '0.0008' },
        price_monthly: { net: '0.5000' },
      })),
    },
  ],
}

/** `soldOut`: types that are not to be had anywhere, or `<type>@<location>`. */
export function priceList({ soldOut = [] }: { readonly soldOut?: readonly string[] } = {}): Catalog {
  const serverTypes = rows.map(toType).map((type) => ({
    ...type,
    locations: eu.map((name) => ({
      name,
      available: !soldOut.includes(type.name) && !soldOut.includes(`${type.name}@${name}`),
      deprecation: null,
    })),
  }))
  return { serverTypes, pricing }
}
