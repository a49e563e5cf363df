import type { CreateBox } from '@gibil/contract'

/** The fields of a create that the chooser sets, each with the flag that says the same. */
const flags = [
  ['shape', '--shape'],
  ['provider', '--provider'],
  ['image', '--image'],
  ['size', '--size'],
  ['cpu', '--cpu'],
  ['memoryMib', '--memory'],
  ['diskMib', '--disk'],
  ['ttl', '--ttl'],
] as const satisfies readonly (readonly [keyof CreateBox, string])[]
const cloudFlags = [
  ['location', '--location'],
  ['maxHourly', '--max-hourly'],
] as const satisfies readonly (readonly [keyof NonNullable<CreateBox['cloud']>, string])[]

const amountOf = (mib: number): string => (mib % 1024 === 0 ? `${mib / 1024}G` : `${mib}M`)

/** A create as a command line. All that the chooser puts into one consists of letters, digits, dots and dashes, so that a shell changes nothing of it. */
export function commandOf(create: CreateBox): string {
  const own = flags.flatMap(([field, flag]) => {
    const value = create[field]
    return value === undefined ? [] : [flag, field.endsWith('Mib') ? amountOf(Number(value)) : String(value)]
  })
  const ofCloud = cloudFlags.flatMap(([field, flag]) => {
    const value = create.cloud?.[field]
    return value === undefined ? [] : [flag, value]
  })
  return ['gibil create', ...own, ...ofCloud].join(' ')
}
