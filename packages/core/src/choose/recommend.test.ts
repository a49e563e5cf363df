import { type Choice, GibilError, type Needs, parseDuration } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultPolicy } from '../plane/deps.ts'
import { anyMachine, anyNeeds } from '../test/any-needs.ts'
import type { Need } from './asked.ts'
import { type Machine, type Recommendation, recommend } from './recommend.ts'

const machine: Machine = { cpus: 8, memoryMib: 32_768, freeDiskMib: 100_000, emulated: false, unavailable: () => null }
const of = (needs: Needs, on: Partial<Machine> = {}): Recommendation =>
  recommend(needs, { ...machine, ...on }, defaultPolicy)

const thrownBy = (needs: Needs, on: Machine = machine): GibilError => {
  try {
    recommend(needs, on, defaultPolicy)
  } catch (error) {
    if (GibilError.is(error)) return error
  }
  throw new Error('it was recommended')
}
interface Clash {
  readonly needs: readonly Need[]
  readonly text: string
}
const clashesOf = (error: GibilError): Clash[] => (error.details?.['clashes'] ?? []) as Clash[]

/** What boxes can, told once more and in another way than by the tables: facts of docs/shapes.md and of the lease. */
function lacksOf(
  { shape, provider, size }: Pick<Choice, 'shape' | 'provider' | 'size'>,
  needs: Needs,
  host: Machine,
): string[] {
  const cloud = provider === 'hetzner'
  const days = needs.ttl === undefined || needs.ttl === 'none' ? 0 : parseDuration(needs.ttl) / 86_400_000
  const facts: [boolean, string][] = [
    [needs.isolation === 'own-kernel' && shape === 'container', 'isolation'],
    [needs.isolation === 'other-machine' && !cloud, 'isolation'],
    [needs.where === 'here' && cloud, 'where'],
    [needs.where === 'own-cloud' && !cloud, 'where'],
    [needs.location !== undefined && !cloud, 'location'],
    [needs.publicAddress === true && !cloud, 'publicAddress'],
    [(needs.docker === true || needs.services === 'image') && shape === 'container', 'docker'],
    [needs.services === 'unit' && shape !== 'vm', 'services'],
    [needs.embed === true && shape !== 'microvm', 'embed'],
    [/^[0.]+$/.test(needs.maxHourly ?? '1') && cloud, 'maxHourly'],
    [shape === 'vm' && (needs.ttl === 'none' || days > 30 || (days > 0 && days * 1440 < 15)), 'ttl'],
    [days > 365, 'ttl'],
    [size.cpu < (needs.cpu ?? 0) || size.memoryMib < (needs.memoryMib ?? 0), 'size'],
    [size.diskMib < (needs.diskMib ?? 0), 'size'],
    // A limit of more than there is gives no more than there is.
    [!cloud && (needs.cpu ?? 0) > host.cpus, 'size'],
    [!cloud && needs.size === 'large' && needs.cpu === undefined && host.cpus < 8, 'size'],
    // What `create` refuses: a machine takes what it names.
    [!cloud && shape !== 'container' && (size.cpu > host.cpus || size.memoryMib > host.memoryMib), 'size'],
    [!cloud && shape !== 'container' && size.diskMib > host.freeDiskMib, 'size'],
    [shape === 'microvm' && size.memoryMib < 192, 'size'],
    [shape === 'vm' && !cloud && size.memoryMib < 512, 'size'],
  ]
  return facts.flatMap(([isSo, what]) => (isSo ? [what] : []))
}

/** What is recommended, or the error; anything else that is thrown fails the test. */
function tried(needs: Needs, host: Machine): Recommendation | GibilError {
  try {
    return recommend(needs, host, defaultPolicy)
  } catch (error) {
    if (!GibilError.is(error)) throw error
    expect(error.code).toBe('contradictory_needs')
    return error
  }
}

const sizes = ['size', 'cpu', 'memoryMib', 'diskMib']
const part = (needs: Needs, isKept: (field: string) => boolean): Needs =>
  Object.fromEntries(Object.entries(needs).filter(([field]) => isKept(field)))

describe('whatever is needed', () => {
  test('is not lacking in what is recommended; else the needs that clash are told', () => {
    const seen = new Map<string, number>()
    fc.assert(
      fc.property(anyNeeds, anyMachine, (needs, host) => {
        const choice = tried(needs, host)
        const place = GibilError.is(choice) ? 'none' : `${choice.shape} ${choice.provider}`
        seen.set(place, (seen.get(place) ?? 0) + 1)
        if (GibilError.is(choice)) expect(clashesOf(choice).length).toBeGreaterThan(0)
        else expect(lacksOf(choice, needs, host)).toEqual([])
      }),
      { numRuns: 1000 },
    )
    // A property of needs that all contradict each other would hold of any table.
    expect([...seen.keys()].toSorted()).toEqual(['container local', 'microvm local', 'none', 'vm hetzner', 'vm local'])
    expect(Math.min(...seen.values())).toBeGreaterThan(10)
  })

  test('stays met when another need comes, or clashes with it', () => {
    fc.assert(
      fc.property(anyNeeds, anyNeeds, anyMachine, (needs, more, host) => {
        // Amounts of a size are one need: another one takes the place of it.
        const sized = Object.keys(needs).some((field) => sizes.includes(field))
        const choice = tried({ ...part(more, (field) => !(sized && sizes.includes(field))), ...needs }, host)
        if (!GibilError.is(choice)) expect(lacksOf(choice, needs, host)).toEqual([])
      }),
      { numRuns: 1000 },
    )
  })

  test('clashes as told: not together, and without any one of them they do not', () => {
    let seen = 0
    const only = (needs: Needs, clash: readonly string[]): Needs =>
      part(needs, (field) => clash.includes(sizes.includes(field) ? 'size' : field))
    fc.assert(
      fc.property(anyNeeds, anyMachine, (needs, host) => {
        const choice = tried(needs, host)
        for (const { needs: clash } of GibilError.is(choice) ? clashesOf(choice) : []) {
          seen += 1
          expect(GibilError.is(tried(only(needs, clash), host))).toBe(true)
          for (const one of clash) {
            const rest = clash.filter((need) => need !== one)
            expect(GibilError.is(tried(only(needs, rest), host))).toBe(false)
          }
        }
      }),
      { numRuns: 1000 },
    )
    expect(seen).toBeGreaterThan(50)
  })

  test('says of every other box what it lacks, and of none that it lacks what is not needed', () => {
    fc.assert(
      fc.property(anyNeeds, anyMachine, (needs, host) => {
        const choice = tried(needs, host)
        if (GibilError.is(choice)) return
        const { others, shape, provider } = choice
        expect(others).toHaveLength(3)
        expect(others).not.toContainEqual(expect.objectContaining({ shape, provider }))
        for (const { lacks, note } of others) {
          for (const { need } of lacks) if (need !== 'size') expect(needs).toHaveProperty(need)
          expect(note === null).toBe(lacks.length > 0)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('contradictory needs', () => {
  test('name what clashes with what, and what has each', () => {
    const error = thrownBy({ where: 'here', publicAddress: true, docker: true })
    expect(error.message).toBe(
      'No box has all that is needed: --where here (a container, a microvm, a vm) and --public-address (a vm at Hetzner).',
    )
    expect(clashesOf(error).map(({ needs }) => needs)).toEqual([['where', 'publicAddress']])
  })

  test('are all told, also one that nothing meets', () => {
    const error = thrownBy({ ttl: '400d', embed: true, services: 'unit' })
    expect(clashesOf(error).map(({ needs }) => needs)).toEqual([['ttl'], ['services', 'embed']])
    expect(error.message).toContain('--ttl 400d (had by none)')
  })

  test('of a size say all of it', () => {
    const error = thrownBy({ size: 'small', cpu: 64, memoryMib: 512, where: 'here' })
    expect(error.message).toContain('--size small --cpu 64 --memory 512M (a vm at Hetzner)')
  })
})

describe('what is recommended', () => {
  test('has an image and a size, and the create that makes it', () => {
    expect(of({})).toMatchObject({
      image: 'base',
      create: { shape: 'container' },
      command: 'gibil create --shape container',
    })
    expect(of({ docker: true, ttl: ' 90m ' })).toMatchObject({
      image: 'docker',
      create: { shape: 'microvm', image: 'docker', ttl: '90m' },
      command: 'gibil create --shape microvm --image docker --ttl 90m',
    })
    expect(of({ isolation: 'own-kernel', size: 'medium', memoryMib: 1000 })).toMatchObject({
      image: 'base',
      size: { cpu: 4, memoryMib: 1000, diskMib: 20_480 },
      command: 'gibil create --shape microvm --size medium --memory 1000M',
    })
    expect(of({ location: 'fsn1', maxHourly: '0.05', workstation: true })).toMatchObject({
      free: false,
      command: 'gibil create --shape managed --provider hetzner --location fsn1 --max-hourly 0.05',
    })
    // What only a cloud takes is not said to this machine.
    expect(of({ maxHourly: '0.05' })).toMatchObject({ free: true, create: { shape: 'container' } })
  })

  test('fits the host where nobody named a size', () => {
    const small = { cpus: 1, memoryMib: 2000, freeDiskMib: 5000 }
    expect(of({ isolation: 'own-kernel' }, small)).toMatchObject({
      size: { cpu: 1, memoryMib: 1000, diskMib: 2500 },
      command: 'gibil create --shape microvm --cpu 1 --memory 1000M --disk 2500M',
      warnings: [expect.stringContaining('smaller')],
    })
    // A limit of a container may be more than there is.
    expect(of({}, small)).toMatchObject({ size: { cpu: 2, memoryMib: 4096 }, warnings: [] })
  })

  test('says that the processor is emulated, of machines of this host alone', () => {
    const slow = [expect.stringContaining('KVM')]
    expect(of({ docker: true }, { emulated: true }).warnings).toEqual(slow)
    expect(of({ docker: true }, { emulated: null }).warnings).toEqual([expect.stringContaining('is tried')])
    expect(of({}, { emulated: true }).warnings).toEqual([])
    expect(of({ where: 'own-cloud' }, { emulated: true }).warnings).not.toContainEqual(slow[0])
  })

  test('says which box would be better and why it is not there', () => {
    const failure = { code: 'missing_tool', message: 'No QEMU.', hint: 'Install it.' }
    const { shape, warnings } = of({ agent: 'any' }, { unavailable: ({ shape }) => (shape === 'vm' ? failure : null) })
    expect(shape).toBe('container')
    expect(warnings).toEqual(['A vm would be the better box, but cannot be made here now: No QEMU.'])
  })

  test('of a workstation is the preset, with what is named of a size beside it', () => {
    expect(of({ workstation: true })).toMatchObject({
      shape: 'vm',
      image: 'workstation',
      size: { cpu: 4, memoryMib: 16_384, diskMib: 30_720 },
      missing: [],
      create: { shape: 'managed' },
      command: 'gibil create --shape managed',
    })
    expect(of({ workstation: true, cpu: 2, memoryMib: 8192 })).toMatchObject({
      size: { cpu: 2, memoryMib: 8192, diskMib: 30_720 },
      command: 'gibil create --shape managed --cpu 2 --memory 8G',
    })
  })

  test('is refused for a size or a time that is none', () => {
    expect(thrownBy({ cpu: 0.01 }).code).toBe('invalid_size')
    expect(thrownBy({ ttl: 'soon' }).code).toBe('invalid_duration')
  })
})
