import { Choice, type CreateBox, type ErrorBody, type Needs } from '@gibil/contract'
import { needsOfAnswers } from '@gibil/sdk'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { anyNeeds } from '../../core/src/test/any-needs.ts'
import { createFakePlane } from '../../daemon/test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../daemon/test/support/test-daemon.ts'
import { type CliRun, cli } from '../test/support/run-cli.ts'
import { needsOf } from './options/needs.ts'

let daemon: TestDaemon
let asked: CreateBox[]
let needed: Needs[]

beforeAll(async () => {
  const fake = createFakePlane({})
  daemon = await startTestDaemon({
    ...fake,
    choose: (needs) => {
      needed.push(needs)
      return fake.choose(needs)
    },
    create: async (input) => {
      asked.push(input)
      const box = await fake.create(input)
      await fake.destroy(box.id)
      return box
    },
  })
})
beforeEach(() => {
  asked = []
  needed = []
})
afterAll(() => daemon[Symbol.asyncDispose]())

const gibil = (...argv: readonly string[]): Promise<CliRun> => cli(argv, { home: daemon.home })

test('the command that is recommended is one that the CLI takes, and makes what the API would make', async () => {
  let seen = 0
  await fc.assert(
    fc.asyncProperty(anyNeeds, async (needs) => {
      const { status, json } = await daemon.call('POST', '/choose', { body: needs })
      if (status === 422) return
      const { command, create } = Choice.parse(json)
      const [program, ...argv] = command.split(' ')
      expect(program).toBe('gibil')
      expect(await gibil(...argv, '--name', 'w')).toMatchObject({ status: 0, stdout: 'w\n' })
      expect(asked.at(-1)).toEqual({ ...create, name: 'w' })
      seen += 1
    }),
    { numRuns: 150 },
  )
  expect(seen).toBeGreaterThan(40)
})

describe('gibil choose', () => {
  test('says what to make, why, what it costs, what the others lack, and the command last', async () => {
    const { stdout, stderr, status } = await gibil('choose', '--docker', '--ttl', '90m')
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    expect(stdout).toMatch(/^box {7}microvm, image docker, 2 cpu, 4 GiB, 10 GiB disk\nbecause {3}\S/)
    expect(stdout).toContain('dockerd needs a kernel of its own')
    expect(stdout).toContain('cost      nothing')
    expect(stdout).toContain('container: cannot run Docker')
    expect(stdout).toMatch(/\nthen {6}gibil create --shape microvm --image docker --ttl 90m\n$/)
  })

  test('without flags and without a terminal asks nothing: a container', async () => {
    expect((await gibil('choose')).stdout).toMatch(/then {6}gibil create --shape container\n$/)
    expect(needed).toEqual([{}])
  })

  test('takes every need as a flag', async () => {
    const flags =
      '--isolation own-kernel --where own-cloud --location fsn1 --ttl 7d --size medium --cpu 1.5 --memory 512M --disk 3G --docker --services unit --public-address --workstation --agent any --embed --max-hourly 0.05 --json'
    const run = await gibil('choose', ...flags.split(' '))
    expect(needed).toEqual([
      {
        isolation: 'own-kernel',
        where: 'own-cloud',
        location: 'fsn1',
        ttl: '7d',
        size: 'medium',
        cpu: 1.5,
        memoryMib: 512,
        diskMib: 3072,
        docker: true,
        services: 'unit',
        publicAddress: true,
        workstation: true,
        agent: 'any',
        embed: true,
        maxHourly: '0.05',
      },
    ])
    // An embedded run is one of seconds, and no unit, cloud or public address is had with it.
    expect(run.status).toBe(2)
    const { error } = JSON.parse(run.stdout) as ErrorBody
    expect(error.code).toBe('contradictory_needs')
    expect(error.details).toMatchObject({
      clashes: expect.arrayContaining([expect.objectContaining({ needs: ['services', 'embed'] })]),
    })
  })

  test('tells needs that contradict each other, and ends with 2', async () => {
    const { status, stdout, stderr } = await gibil('choose', '--where', 'here', '--public-address')
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toContain('--where here (a container, a microvm, a vm) and --public-address (a vm at Hetzner)')
  })

  test('is for programs with --json', async () => {
    const { stdout } = await gibil('choose', '--workstation', '--json')
    expect(Choice.parse(JSON.parse(stdout))).toMatchObject({ shape: 'vm', image: 'workstation' })
  })

  test.each([
    ['--isolation', 'gvisor'],
    ['--where', 'there'],
    ['--agent', 'marvin'],
    ['--services', 'docker'],
    ['--max-hourly', 'much'],
    ['--ttl', 'soon'],
    ['--size', 'huge'],
    ['--location', 'No Where'],
  ])('%s %s is refused', async (flag, value) => {
    expect(await gibil('choose', flag, value)).toMatchObject({ status: 2, stdout: '' })
  })
})

test('create says why a box has its shape', async () => {
  const fake = await gibil('create', '--name', 'w', '--shape', 'auto')
  expect(asked).toEqual([{ name: 'w', shape: 'auto' }])
  expect(fake.stderr).toContain('  a container: nothing more was asked for\n')
})

test('what is asked of a person says the same as flags', () => {
  const answers = {
    isolation: 'shared-kernel',
    where: 'anywhere',
    ttl: '60m',
    size: 'usual',
    marks: [],
    agent: 'none',
    maxHourly: undefined,
  } as const
  expect(needsOfAnswers(answers)).toEqual(needsOf({ isolation: 'shared-kernel', ttl: '60m' }))
  const all = ['docker', 'images', 'units', 'publicAddress', 'workstation', 'embed'] as const
  expect(
    needsOfAnswers({ ...answers, where: 'own-cloud', size: 'large', agent: 'codex', maxHourly: '1', marks: all }),
  ).toEqual(
    needsOf({
      isolation: 'shared-kernel',
      where: 'own-cloud',
      ttl: '60m',
      size: 'large',
      docker: true,
      services: 'unit',
      publicAddress: true,
      workstation: true,
      embed: true,
      agent: 'codex',
      maxHourly: '1',
    }),
  )
  expect(needsOfAnswers({ ...answers, marks: ['images'] })).toMatchObject({ docker: true, services: 'image' })
})
