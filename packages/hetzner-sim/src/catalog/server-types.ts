/**
 * Server types and their prices as the API gave them on 2026-09-29: euros, net, for a month and an hour. They are
 * fixtures: prices move. What was not recorded then is marked below.
 */
export interface ServerType {
  readonly id: number
  readonly name: string
  readonly description: string
  readonly cores: number
  readonly memory: number
  readonly disk: number
  readonly category: string
  readonly cpu_type: 'shared' | 'dedicated'
  readonly architecture: 'x86' | 'arm'
  /** Where it is sold, and for how much. */
  readonly prices: readonly { location: string; hourly: string; monthly: string; traffic: Traffic }[]
}

interface Traffic {
  /** Bytes. */
  readonly included: number
  /** Euros for each TB beyond. */
  readonly perTb: string
}

const eu = ['fsn1', 'nbg1', 'hel1']
const us = ['ash', 'hil']
const tib = 2 ** 40

const cx = ['cost_optimized', 'shared', 'x86'] as const
const cax = ['cost_optimized', 'shared', 'arm'] as const
const cpx = ['regular_purpose', 'shared', 'x86'] as const
const ccx = ['general_purpose', 'dedicated', 'x86'] as const

export const serverTypes: readonly ServerType[] = [
  type(114, 'cx23', cx, '2/4/40', euOnly('.0088', '5.49')),
  type(115, 'cx33', cx, '4/8/80', euOnly('.0136', '8.49')),
  type(116, 'cx43', cx, '8/16/160', euOnly('.0256', '15.99')),
  type(117, 'cx53', cx, '16/32/320', euOnly('.0473', '29.49')),
  type(45, 'cax11', cax, '2/4/40', euOnly('.0096', '5.99')),
  type(93, 'cax21', cax, '4/8/80', euOnly('.0168', '10.49')),
  type(94, 'cax31', cax, '8/16/160', euOnly('.0336', '20.99')),
  type(95, 'cax41', cax, '16/32/320', euOnly('.0657', '40.99')),
  type(108, 'cpx12', cpx, '1/2/40', euOnly('.0184', '11.49'), sin('15.49')),
  type(109, 'cpx22', cpx, '2/4/80', euOnly('.0312', '19.49'), sin('26.49')),
  type(110, 'cpx32', cpx, '4/8/160', euOnly('.0569', '35.49'), sin('48.99')),
  type(111, 'cpx42', cpx, '8/16/320', euOnly('.1114', '69.49'), sin('93.49')),
  type(112, 'cpx52', cpx, '12/24/480', euOnly('.1610', '100.49'), sin('134.49')),
  type(113, 'cpx62', cpx, '16/32/640', euOnly('.2083', '129.99'), sin('171.99')),
  type(22, 'cpx11', cpx, '2/2/40', usOnly('17.49')),
  type(23, 'cpx21', cpx, '3/4/80', usOnly('31.99')),
  type(24, 'cpx31', cpx, '4/8/160', usOnly('62.49')),
  type(25, 'cpx41', cpx, '8/16/240', usOnly('120.49')),
  type(26, 'cpx51', cpx, '16/32/360', usOnly('237.99')),
  type(96, 'ccx13', ccx, '2/8/80', everywhere('.0689', '42.99')),
  type(97, 'ccx23', ccx, '4/16/160', everywhere('.1378', '85.99')),
  type(98, 'ccx33', ccx, '8/32/240', everywhere('.2219', '138.49')),
  type(99, 'ccx43', ccx, '16/64/360', everywhere('.4423', '275.99')),
  type(100, 'ccx53', ccx, '32/128/600', everywhere('.8550', '533.49')),
  type(101, 'ccx63', ccx, '48/192/960', everywhere('1.3678', '853.49')),
]

type Prices = ServerType['prices']

function type(
  id: number,
  name: string,
  [category, cpu_type, architecture]: readonly [string, ServerType['cpu_type'], ServerType['architecture']],
  size: string,
  ...prices: Prices[]
): ServerType {
  const [cores = 0, memory = 0, disk = 0] = size.split('/').map(Number)
  return {
    id,
    name,
    description: name.toUpperCase(),
    cores,
    memory,
    disk,
    category,
    cpu_type,
    architecture,
    prices: prices.flat(),
  }
}

function euOnly(hourly: string, monthly: string): Prices {
  return sold(eu, hourly, monthly, { included: 20 * tib, perTb: '1.00' })
}

/** Of the prices outside the EU only those of a month were recorded. */
function usOnly(monthly: string): Prices {
  return sold(us, hourOf(monthly), monthly, { included: tib, perTb: '1.00' })
}

function sin(monthly: string): Prices {
  return sold(['sin'], hourOf(monthly), monthly, { included: 0.5 * tib, perTb: '7.40' })
}

/** Dedicated types are sold everywhere; outside the EU their prices were not recorded, so they cost here what they cost there. */
function everywhere(hourly: string, monthly: string): Prices {
  return [
    ...euOnly(hourly, monthly),
    ...sold(us, hourly, monthly, { included: tib, perTb: '1.00' }),
    ...sold(['sin'], hourly, monthly, { included: 0.5 * tib, perTb: '7.40' }),
  ]
}

function sold(where: readonly string[], hourly: string, monthly: string, traffic: Traffic): Prices {
  return where.map((location) => ({ location, hourly: hourly.replace(/^\./, '0.'), monthly, traffic }))
}

/** Every recorded price of an hour is that of a month over 624 (26 days), to four digits. */
export function hourOf(monthly: string): string {
  return (Number(monthly) / 624).toFixed(4)
}
