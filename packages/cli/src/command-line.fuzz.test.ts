import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFakeBoxd } from '../../daemon/test/support/fake-boxd.ts'
import { createFakePlane } from '../../daemon/test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../daemon/test/support/test-daemon.ts'
import { cli } from '../test/support/run-cli.ts'
import { verbs } from './registry.ts'

let daemon: TestDaemon
let cwd: string

beforeAll(async () => {
  const boxd = createFakeBoxd()
  daemon = await startTestDaemon(createFakePlane({}), { boxd: () => boxd.api })
  await daemon.call('POST', '/boxes', { body: { name: 'known' } })
  cwd = await mkdtemp(join(tmpdir(), 'gibil-cli-'))
})
afterAll(async () => {
  await daemon[Symbol.asyncDispose]()
  await rm(cwd, { recursive: true, force: true })
})

/** Those that change this machine, end the daemon or go on without an end are tried with what they must refuse. */
const dangerous = new Set(['up', 'down', 'doctor', 'init', 'hetzner-sim'])
const verb = fc.constantFrom(...verbs.flatMap(({ name, aliases = [] }) => [name, ...aliases]))
const flags = [
  ...[
    '--json',
    '--help',
    '-h',
    '--home',
    '--name',
    '--ttl',
    '--idle',
    '--size',
    '--cpu',
    '--memory',
    '--disk',
    '--env',
  ],
  ...[
    '--label',
    '--fleet',
    '--wait',
    '--user',
    '--cwd',
    '--timeout',
    '--detach',
    '--all',
    '--yes',
    '--follow',
    '--offset',
  ],
  ...[
    '--box',
    '--after',
    '--signal',
    '--repo',
    '--branch',
    '--network',
    '--on-expire',
    '--image',
    '-d',
    '-i',
    '-t',
    '--no',
  ],
]
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...flags) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'known',
      'nobody',
      'j1',
      '5',
      '-1',
      '90m',
      'none',
      '',
      '--',
      '-',
      'a=b',
      'known:/x',
      '.',
    ),
  },
  { weight: 2, arbitrary: fc.string({ maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '--cpu=',
      '--json=1',
      '--=',
      '---',
      '--__proto__',
      '\0',
      '\ud800',
      '-abc',
      'x'.repeat(5000),
    ),
  },
)

test('any command line ends with a status and, where it failed, with what to do next; never with a stack', async () => {
  await fc.assert(
    fc.asyncProperty(fc.option(verb, { freq: 10 }), fc.array(word, { maxLength: 6 }), async (name, rest) => {
      const words = rest.filter((one) => one !== '--home')
      const argv = [
        ...(name === null ? [] : [name]),
        ...words,
        ...(dangerous.has(name ?? '') ? ['--no-such-option'] : []),
      ]
      if (argv.includes('--') && dangerous.has(argv.find((one) => !one.startsWith('-')) ?? '')) return
      const signal = AbortSignal.timeout(3000)
      const { status, stderr, stdout } = await cli(argv, { home: daemon.home, cwd, signal })
      expect(Number.isInteger(status) && status >= 0 && status <= 255).toBe(true)
      expect(`${stderr}${stdout}`).not.toMatch(/^ +at .+:\d+:\d+\)?$/m)
      expect(stderr).not.toContain('TypeError')
      if (status !== 0 && stderr !== '' && !argv.includes('--json'))
        expect(stderr).toMatch(/^error: .+\n( {2}next: .+\n)?/m)
    }),
    { numRuns: process.env['GIBIL_FUZZ_SECONDS'] ? Number.MAX_SAFE_INTEGER : 60 },
  )
})
