import { GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import * as z from 'zod'
import { parseGibilYml } from './parse.ts'
import { GibilYml } from './schema.ts'

function issuesOf(text: string): string[] {
  try {
    parseGibilYml(text)
  } catch (error) {
    if (GibilError.is(error) && error.code === 'invalid_config') return error.message.split('\n')
    throw error
  }
  throw new Error('it was taken')
}

describe('parseGibilYml', () => {
  test('an empty file says nothing', () => {
    for (const text of ['', '\n', '# only this\n', '{}']) {
      expect(parseGibilYml(text)).toMatchObject({
        image: null,
        services: [],
        tasks: [],
        onStart: [],
        beforeExpire: null,
      })
    }
  })

  test('writes out the short forms', () => {
    const config = parseGibilYml(`
image: base
size: small
memory: 512M
disk: 2
runtime: { node: 24, python: 3.10 }
env: { A: 1, B: true, C: 3.10 }
services:
  db: run-db
  web: { command: serve, ready: { http: 'http://localhost:3000/health?x=1', timeout: 5s } }
tasks:
  - npm ci
  - { run: "npm test\\nmore", timeout: 2m }
hooks:
  onCreate: one
  onStart: [a, { name: b, run: c }]
  beforeExpire: { run: save, timeout: 10s }
`)
    expect(config).toMatchObject({
      image: 'base',
      size: 'small',
      memoryMib: 512,
      diskMib: 2048,
      runtime: { node: '24', python: '3.10' },
      env: { A: '1', B: 'true', C: '3.10' },
      services: [
        { name: 'db', command: 'run-db', ready: null },
        { name: 'web', ready: { kind: 'http', port: 3000, path: '/health?x=1', timeoutMs: 5000 } },
      ],
      tasks: [
        { name: 'npm ci', run: 'npm ci', timeoutMs: null },
        { name: 'npm test', timeoutMs: 120_000 },
      ],
      onCreate: [{ run: 'one' }],
      onStart: [{ name: 'a' }, { name: 'b', run: 'c' }],
      beforeExpire: { run: 'save', timeoutMs: 10_000 },
    })
  })

  test('a list of services names databases of the image vm, in its order and each once', () => {
    expect(parseGibilYml('services: [redis, postgres, redis]').services).toMatchObject([
      { name: 'redis', command: null, image: null, unit: 'redis-server', ready: { kind: 'command' } },
      { name: 'postgres', unit: 'postgresql', ready: { command: 'pg_isready --quiet', timeoutMs: 60_000 } },
    ])
    expect(parseGibilYml('services: { cache: { unit: memcached } }').services).toMatchObject([
      { name: 'cache', unit: 'memcached', ready: null },
    ])
  })

  test.each([
    ['taks: [a]', '.gibil.yml:1:1: taks: is not a known field'],
    ['image: base\nttl: 13x', '.gibil.yml:2:6: ttl: is not a duration'],
    ['tasks:\n  - npm ci\n  - run: 5', '.gibil.yml:3:10: tasks.1.run: '],
    ['tasks:\n  - npm ci\n  - { name: x }', '.gibil.yml:3:5: tasks.1.run: '],
    ['tasks:\n  - npm ci\n  - 5', '.gibil.yml:3:5: tasks.1: must be string or object'],
    ['services:\n  db:\n    command: x\n    ready: { port: 70000 }', '.gibil.yml:4:20: services.db.ready.port: '],
    [
      'services:\n  db:\n    command: x\n    ready: { port: 1, log: y }',
      '.gibil.yml:4:12: services.db.ready: needs exactly one of command, port, http and log',
    ],
    [
      'services:\n  db: { image: x, command: y }',
      '.gibil.yml:2:7: services.db: needs exactly one of command, image and unit',
    ],
    ['services: [postgres, oracle]', '.gibil.yml:1:22: services.1: '],
    ['services: { db: { unit: a b } }', '.gibil.yml:1:25: services.db.unit: is not the name of a unit'],
    ['services:\n  DB: x', '.gibil.yml:2:3: services.DB: is not a name'],
    ['env:\n  1A: x', '.gibil.yml:2:3: env.1A: is not the name of a variable'],
    ['runtime:\n  cobol: 1', '.gibil.yml:2:3: runtime.cobol: '],
    ['shape: tent', '.gibil.yml:1:8: shape: '],
    ['memory: 0', '.gibil.yml:1:9: memory: is not an amount'],
    ['tasks: [', '.gibil.yml:1:9: '],
    ['a: 1\na: 2', '.gibil.yml:2:1: '],
    ['- a', '.gibil.yml:1:1: '],
    ['hello', '.gibil.yml:1:1: '],
  ])('%o is refused at its place', (text, expected) => {
    expect(issuesOf(text)[0]).toContain(expected)
  })

  test('tells everything that is wrong at once, as facts too', () => {
    const text = 'cpu: -1\nports: [0, 80, x]\nhooks: { onBirth: x }'
    expect(issuesOf(text)).toHaveLength(4)
    try {
      parseGibilYml(text)
    } catch (error) {
      expect(GibilError.is(error) && error.details?.['issues']).toContainEqual(
        expect.objectContaining({ line: 2, column: 16, path: 'ports.2' }),
      )
    }
  })

  test('a file that unfolds without end is refused', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      ...Array.from({ length: 12 }, (_, index) => {
        const [from, to] = ['abcdefghijklmn'[index], 'abcdefghijklmn'[index + 1]]
        return `${to}: &${to} [*${from},*${from},*${from},*${from},*${from},*${from},*${from},*${from},*${from}]`
      }),
    ].join('\n')
    expect(() => parseGibilYml(bomb)).toThrow(expect.objectContaining({ code: 'invalid_config' }))
  })

  test('any text is either read or refused with a place, never anything else', () => {
    const line = fc.oneof(
      fc.string(),
      fc.stringMatching(/^ {0,4}(tasks|services|env|ports|hooks|ttl|- |a|: |\[|\{|"|&a|\*a|!!x|<<){1,4}$/),
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        try {
          parseGibilYml(lines.join('\n'))
        } catch (error) {
          expect(error).toEqual(expect.objectContaining({ code: 'invalid_config' }))
          expect(String(error)).toMatch(/\.gibil\.yml:\d+:\d+: /)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a value of any wrong kind is refused in the right line', () => {
    const fields = [
      'image',
      'size',
      'cpu',
      'ttl',
      'idle',
      'env',
      'services',
      'tasks',
      'ports',
      'hooks',
      'onExpire',
    ] as const
    fc.assert(
      fc.property(
        fc.constantFrom(...fields),
        fc.nat(5),
        fc.constantFrom<unknown>(null, [[]], [{}], { x: [] }),
        (field, before, value) => {
          const text = `${'# a line\n'.repeat(before)}${stringify({ [field]: value })}`
          expect(issuesOf(text)[0]).toMatch(new RegExp(`^\\.gibil\\.yml:(${before + 1}|${before + 2}|${before + 3}):`))
        },
      ),
    )
  })

  test('the schema can be given as JSON schema', () => {
    const schema = z.toJSONSchema(GibilYml)
    expect(Object.keys(schema.properties ?? {})).toContain('services')
    expect(schema.additionalProperties).toBe(false)
  })
})
