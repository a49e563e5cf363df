import type { Box, Choice, Snapshot } from '@gibil/sdk'
import { describe, expect, test } from 'vitest'
import { aBox, now } from '../../test/support/a-box.ts'
import { boxRow, factRows, portRow, snapshotRow } from './box.ts'
import { choiceLines } from './choice.ts'
import { plain } from './plain.ts'
import { statusText } from './status.ts'
import { coarse } from './time.ts'

test.each([
  [0, '<1m'],
  [59_999, '<1m'],
  [60_000, '1m'],
  [89 * 60_000 + 59_000, '1h 29m'],
  [2 * 3_600_000, '2h'],
  [7 * 86_400_000 - 1, '6d 23h'],
  [-5, '<1m'],
])('%i ms are %s', (milliseconds, expected) => expect(coarse(milliseconds)).toBe(expected))

describe('a box', () => {
  const billed = { currency: 'EUR', hourly: '0.0088', soFar: '0.0176', billed: true }
  test.each<[string, Partial<Box>, string, string]>([
    ['that runs', {}, 'running · 58m left', 'box running usable there'],
    ['that costs', { cost: billed }, 'running · 58m left · 0.0088 EUR/h', 'box running usable there'],
    ['that is set up', { readiness: 'tasks' }, 'set-up: tasks · 58m left', 'box running usable there'],
    ['whose set-up failed', { readiness: 'failed' }, 'set-up failed · 58m left', 'box running usable there'],
    [
      'that hangs',
      { unresponsiveSince: '2026-01-01T00:00:00Z' },
      'does not answer · 58m left',
      'box running usable there',
    ],
    ['that sleeps', { status: 'paused' }, 'paused · 58m left', 'box paused usable there'],
    ['that is off', { status: 'stopped' }, 'stopped · 58m left', 'box stopped there'],
    ['that comes', { status: 'creating' }, 'creating · 58m left', 'box creating'],
  ])('%s', (_, more, description, context) => {
    expect(boxRow(aBox(more), now)).toMatchObject({ label: 'work', description, context })
  })

  test('of a token is called with its owner', () => {
    expect(boxRow(aBox({ owner: 'ci' }), now).label).toBe('work@ci')
  })

  test('without an end, and one whose time is over', () => {
    const lease = aBox().lease
    expect(boxRow(aBox({ lease: { ...lease, expiresAt: null } }), now).description).toBe('running · no end')
    const over = { ...lease, expiresAt: new Date(now).toISOString() }
    expect(boxRow(aBox({ lease: over }), now).description).toBe('running · time is over')
  })

  test('tells of what it is, what it costs and what went wrong', () => {
    const failure = { code: 'task_failed', message: 'The task\ntest failed [x](command:y).', hint: 'See its log.' }
    const repo = { source: 'github.com/a/b', branch: 'main', path: '/home/agent/project' }
    expect(factRows(aBox({ failure, repo, cost: billed }), now).map(({ label, context }) => [label, context])).toEqual([
      ['The task test failed [x] (command:y).', 'failure'],
      ['container on this machine', 'fact'],
      ['58m left', 'time'],
      ['0.0088 EUR per hour, 0.0176 EUR so far', 'fact'],
      ['github.com/a/b', 'fact'],
    ])
    expect(portRow(aBox(), { port: 3000, public: false })).toMatchObject({ description: 'private', context: 'port' })
  })
})

test('a snapshot', () => {
  const snapshot = {
    id: 's1',
    name: 'good',
    status: 'ready',
    kind: 'disk',
    boxId: 'b1',
    boxName: 'work',
    owner: null,
    parent: null,
    bytes: 3 * 1024 * 1024,
    shape: 'container',
    provider: 'local',
    image: 'base',
    size: aBox().size,
    isolation: 'namespaces',
    setup: false,
    createdAt: new Date(now - 3_600_000).toISOString(),
  } satisfies Snapshot
  expect(snapshotRow(snapshot, now)).toMatchObject({ description: 'of work · 3 MiB · 1h ago', context: 'snapshot' })
  const making = snapshotRow({ ...snapshot, status: 'creating', bytes: null }, now)
  expect(making).toMatchObject({ description: 'of work · creating · 1h ago', context: 'busy' })
})

test('what was chosen, what is to be known of it, and what stands against the others', () => {
  const choice = {
    shape: 'vm',
    provider: 'hetzner',
    image: 'vm',
    size: aBox().size,
    reasons: [{ need: 'docker', text: 'Docker is asked for' }],
    missing: [],
    warnings: ['SSH is open to all'],
    unavailable: null,
    before: [],
    free: false,
    cost: { currency: 'EUR', hourly: '0.0096', monthly: '5.99', total: '0.23', serverType: 'cx22', location: 'fsn1' },
    create: {},
    command: 'gibil create',
    others: [
      {
        shape: 'container',
        provider: 'local',
        lacks: [{ need: 'docker', text: 'has no Docker' }],
        note: null,
        unavailable: null,
      },
      { shape: 'vm', provider: 'local', lacks: [], note: 'takes room here', unavailable: null },
    ],
  } satisfies Choice
  expect(choiceLines(choice)).toEqual({
    box: 'vm at hetzner, image vm',
    facts: '2 cpu, 4 GiB, 10 GiB disk · 0.0096 EUR per hour, 0.23 EUR in all',
    because: 'Docker is asked for',
    notes: ['SSH is open to all'],
    others: [
      { box: 'container', why: 'has no Docker' },
      { box: 'vm', why: 'would do too, but takes room here' },
    ],
  })
})

test('the status bar counts boxes, and names the one that ends first', () => {
  const seen = { state: 'connected', problem: undefined, boxes: [aBox()], snapshots: [] } as const
  expect(statusText(seen, [], now)).toMatchObject({ text: '$(server-environment) 1 box', urgent: false })
  expect(statusText({ ...seen, boxes: [] }, [], now).text).toContain('0 boxes')
  const later = aBox({ name: 'later', lease: { ...aBox().lease, expiresAt: new Date(now + 9e6).toISOString() } })
  expect(statusText(seen, [later, aBox()], now)).toMatchObject({ text: '$(watch) work: 58m', urgent: true })
  expect(statusText({ ...seen, state: 'looking' }, [], now).text).toBe('$(debug-disconnect) Gibil')
})

test('text of a box is one line without links', () => {
  expect(plain('a\r\nb\u001b[31m [run](command:x)')).toBe('a b [31m [run] (command:x)')
})
