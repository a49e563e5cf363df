import { Needs } from '@gibil/contract'
import fc from 'fast-check'
import type { Machine } from '../choose/recommend.ts'

/** Any five needs or fewer: of more, nearly all contradict each other. */
export const anyNeeds: fc.Arbitrary<Needs> = fc
  .record({
    isolation: fc.constantFrom('shared-kernel', 'own-kernel', 'other-machine'),
    where: fc.constantFrom('here', 'own-cloud'),
    location: fc.constantFrom('fsn1', 'hel1'),
    ttl: fc.oneof(
      fc.constantFrom('none', '10s', '90m', '23h', ' 7d', '30d', '1y', '1h30m'),
      fc.integer({ min: 1, max: 600_000 }),
    ),
    size: fc.constantFrom('small', 'medium', 'large'),
    cpu: fc.constantFrom(0.5, 1, 3, 8, 64),
    memoryMib: fc.constantFrom(64, 256, 1500, 4096, 65_536),
    diskMib: fc.constantFrom(100, 5000, 10_240, 1_048_576),
    docker: fc.boolean(),
    services: fc.constantFrom('command', 'image', 'unit'),
    publicAddress: fc.boolean(),
    workstation: fc.boolean(),
    agent: fc.constantFrom('claude', 'codex', 'gemini', 'opencode', 'any'),
    embed: fc.boolean(),
    maxHourly: fc.constantFrom('0', '0.0', '0.05', '12'),
  })
  .chain((all) => fc.subarray(Object.entries(all), { maxLength: 5 }))
  .map((needs) => Needs.parse(Object.fromEntries(needs)))

/** Hosts from a small one to a large one, each of which may lack some kinds of box. */
export const anyMachine: fc.Arbitrary<Machine> = fc
  .record({
    cpus: fc.constantFrom(1, 2, 8),
    memoryMib: fc.constantFrom(900, 4096, 32_768),
    freeDiskMib: fc.constantFrom(3000, 50_000),
    emulated: fc.constantFrom(true, false, null),
    lacking: fc.subarray(['container local', 'microvm local', 'vm local', 'vm hetzner']),
  })
  .map(({ lacking, ...host }) => ({
    ...host,
    unavailable: ({ shape, provider }) =>
      lacking.includes(`${shape} ${provider}`)
        ? { code: 'missing_tool', message: 'It lacks.', hint: 'Mend it.' }
        : null,
  }))
