import type { Needs } from '@gibil/contract'
import { describe, expect, test } from 'vitest'
import { candidates, type Trait } from './candidates.ts'
import { type Host, pick } from './pick.ts'
import { preferences, rules } from './rules.ts'

const host: Host = { cpus: 8, memoryMib: 32_768, freeDiskMib: 100_000, unavailable: () => null }

/** As `container local`, `vm hetzner`. */
const chosen = (needs: Needs, on: Partial<Host> = {}): string => {
  const { shape, provider } = pick(needs, { ...host, ...on }).chosen.candidate
  return `${shape} ${provider}`
}

/** Every row of the table of rules by the needs that bring it in, and what is chosen then. */
const rows: readonly [Needs, string][] = [
  [{}, 'container local'],
  [{ isolation: 'shared-kernel' }, 'container local'],
  [{ isolation: 'own-kernel' }, 'microvm local'],
  [{ isolation: 'other-machine' }, 'vm hetzner'],
  [{ where: 'here' }, 'container local'],
  [{ where: 'own-cloud' }, 'vm hetzner'],
  [{ location: 'fsn1' }, 'vm hetzner'],
  [{ ttl: '10s' }, 'container local'],
  [{ ttl: 'none' }, 'container local'],
  [{ ttl: 90, isolation: 'own-kernel' }, 'microvm local'],
  [{ ttl: 'none', isolation: 'own-kernel' }, 'microvm local'],
  [{ ttl: '31d', isolation: 'own-kernel' }, 'microvm local'],
  [{ size: 'large' }, 'container local'],
  [{ memoryMib: 100 }, 'container local'],
  [{ memoryMib: 192, isolation: 'own-kernel' }, 'microvm local'],
  [{ cpu: 9 }, 'vm hetzner'],
  [{ memoryMib: 40_000 }, 'vm hetzner'],
  [{ diskMib: 200_000 }, 'vm hetzner'],
  [{ docker: true }, 'microvm local'],
  [{ docker: false }, 'container local'],
  [{ services: 'command' }, 'container local'],
  [{ services: 'image' }, 'microvm local'],
  [{ services: 'unit' }, 'vm local'],
  [{ publicAddress: true }, 'vm hetzner'],
  [{ workstation: true }, 'vm local'],
  [{ agent: 'claude' }, 'container local'],
  [{ agent: 'any' }, 'vm local'],
  [{ embed: true }, 'microvm local'],
  [{ maxHourly: '0' }, 'container local'],
  [{ maxHourly: '0.00', docker: true }, 'microvm local'],
  [{ maxHourly: '0.05' }, 'container local'],
  [{ ttl: '1d' }, 'container local'],
  [{ ttl: '1d', isolation: 'own-kernel' }, 'vm local'],
  [{ ttl: '23h', docker: true }, 'microvm local'],
  [{ ttl: '30d', docker: true }, 'vm local'],
]

describe('the table of rules', () => {
  test.each(rows)('%j: a %s', (needs, expected) => expect(chosen(needs)).toBe(expected))

  test('has no row that is not tried above, but for what create alone may ask for', () => {
    const tried = (when: (needs: Needs) => boolean): boolean => rows.some(([needs]) => when(needs))
    expect(rules.filter(({ need, when }) => need !== 'cloudInit' && !tried(when))).toEqual([])
    expect(preferences.filter(({ when }) => !tried(when))).toEqual([])
  })

  test('tells a box without a trait that it lacks it, in words of its own', () => {
    const named = (trait: unknown): trait is Trait => typeof trait === 'string' && trait !== 'anything'
    for (const { takes, without } of rules) expect(without !== undefined).toBe(named(takes))
  })
})

/** What the kinds of box are compared by: what each is the answer to. */
describe('the comparison', () => {
  test.each<[string, Needs, string]>([
    ['short runs inside a product', { embed: true, ttl: '30s' }, 'microvm local'],
    ['isolation of a container, and no end', { isolation: 'shared-kernel', ttl: 'none' }, 'container local'],
    ['a ready workstation of 4 vCPU, 16 GB, 30 GB', { workstation: true, cpu: 4, memoryMib: 16_384 }, 'vm local'],
    ['a larger one', { workstation: true, cpu: 8, memoryMib: 32_768 }, 'vm local'],
    ['more than this machine has', { cpu: 16, memoryMib: 65_536 }, 'vm hetzner'],
    ['a longer life, with a kernel of its own', { ttl: '7d', isolation: 'own-kernel' }, 'vm local'],
    ['an account of one’s own', { where: 'own-cloud' }, 'vm hetzner'],
    ['any agent', { agent: 'any' }, 'vm local'],
  ])('%s', (_, needs, expected) => expect(chosen(needs)).toBe(expected))
})

describe('what the host cannot', () => {
  const failure = { code: 'missing_tool', message: 'No QEMU.', hint: 'Install it.' }
  const without = (...names: readonly string[]): Partial<Host> => ({
    unavailable: ({ shape, provider }) => (names.includes(`${shape} ${provider}`) ? failure : null),
  })

  test('is passed over where another box that costs as little does as well', () => {
    expect(chosen({ agent: 'any' }, without('vm local'))).toBe('container local')
    expect(chosen({ docker: true }, without('microvm local'))).toBe('vm local')
    expect(pick({ docker: true }, { ...host, ...without('microvm local') }).best.candidate.shape).toBe('microvm')
  })

  test('is recommended all the same where nothing else does, or what does costs money', () => {
    expect(chosen({ embed: true }, without('microvm local'))).toBe('microvm local')
    expect(chosen({}, without('container local', 'microvm local', 'vm local'))).toBe('container local')
    expect(pick({ where: 'own-cloud' }, { ...host, ...without('vm hetzner') }).chosen.unavailable).toEqual(failure)
  })
})

test('candidates are the lightest first, and each pair is there once', () => {
  expect(candidates.map(({ provider, shape }) => `${shape} ${provider}`)).toEqual([
    'container local',
    'microvm local',
    'vm local',
    'vm hetzner',
  ])
})
