import { Box, NewToken, Token } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { busyboxTar } from '../../daemon/test/support/busybox-image.ts'
import { startRealDaemon, type TestDaemon } from '../../daemon/test/support/test-daemon.ts'
import { type CliRun, cli } from './support/run-cli.ts'

// The verbs of tokens, and the other verbs as a token has them, on a daemon with real boxes.
let daemon: TestDaemon
let secret = ''

const administrator = (...argv: string[]): Promise<CliRun> => cli(argv, { home: daemon.home })
const token = (...argv: string[]): Promise<CliRun> =>
  cli(argv, { env: { GIBIL_URL: daemon.daemon.url, GIBIL_TOKEN: secret } })
const codeOf = ({ stdout }: CliRun): string => JSON.parse(stdout).error.code
const size = ['--image', 'busybox', '--cpu', '0.5', '--memory', '128M', '--disk', '256M']

beforeAll(async () => {
  daemon = await startRealDaemon()
  const imported = await daemon.call('POST', '/images/import?name=busybox', { raw: await busyboxTar() })
  expect(imported.status, imported.text).toBe(201)
})
afterAll(async () => {
  await administrator('destroy', '--all', '--yes')
  await daemon[Symbol.asyncDispose]()
})

describe('a token on the command line', () => {
  test('is made, with its secret on stdout and nothing else', async () => {
    const made = await administrator('token', 'create', 'ci', '--max-boxes', '2', '--max-memory', '1G')
    expect(made.status, made.stderr).toBe(0)
    expect(made.stdout).toMatch(/^gibil_[0-9a-f]{64}\n$/)
    expect(made.stderr).toContain('not shown again')
    secret = made.stdout.trim()
    const again = await administrator('token', 'create', 'ci', '--json')
    expect([again.status, codeOf(again)]).toEqual([4, 'name_in_use'])
    const json = await administrator('token', 'create', 'other', '--max-cpu', '1.5', '--ttl', '2h', '--json')
    expect(NewToken.parse(JSON.parse(json.stdout)).limits).toEqual({
      boxes: null,
      cpu: 1.5,
      memoryMib: null,
      diskMib: null,
    })
  })

  test('makes boxes, which are its own, within its limits', async () => {
    const made = await token('create', '--name', 'w', ...size)
    expect(made.status, made.stderr).toBe(0)
    expect((await token('run', 'w', '--', 'echo', 'hello')).stdout).toBe('hello\n')
    const fleet = await token('create', '--fleet', '2', ...size)
    expect(fleet.status).toBe(5)
    expect(fleet.stderr).toContain('take 1 boxes of the 2 boxes that its limit allows')
    expect((await token('list', '-q')).stdout).toBe('w\n')
    const refused = await token('token', 'list', '--json')
    expect([refused.status, codeOf(refused)]).toEqual([5, 'administrator_only'])
    expect((await token('image', 'list', '-q')).stdout).toBe('busybox\n')
  })

  test('is seen with what it uses, and its boxes with their owner', async () => {
    const listed = z.array(Token).parse(JSON.parse((await administrator('token', 'list', '--json')).stdout))
    expect(listed.map(({ name, used }) => [name, used.boxes, used.memoryMib])).toEqual([
      ['ci', 1, 128],
      ['other', 0, 0],
    ])
    expect((await administrator('token', 'list')).stdout).toMatch(
      /^ci +1 of 2 +0\.5 +128 MiB of 1 GiB +256 MiB +no end/m,
    )
    expect((await administrator('list', '-q')).stdout).toBe('w@ci\n')
    expect(Box.parse(JSON.parse((await administrator('show', 'w@ci', '--json')).stdout))).toMatchObject({ owner: 'ci' })
    expect((await administrator('run', 'w@ci', '--', 'echo', 'seen')).stdout).toBe('seen\n')
    expect((await administrator('events', '--box', 'w@ci')).stdout).toContain('w@ci')
    const completed = await administrator('__complete', '--', 'token', 'revoke', '')
    expect(completed.stdout.split('\n').map((line) => line.split('\t')[0])).toEqual(['ci', 'other', ''])
    const missing = await administrator('show', 'w', '--json')
    expect([missing.status, codeOf(missing)]).toEqual([3, 'box_not_found'])
  })

  test('is refused once it is revoked', async () => {
    expect((await administrator('token', 'revoke', 'ci')).status).toBe(0)
    const refused = await token('list', '--json')
    expect([refused.status, codeOf(refused)]).toEqual([5, 'unauthorized'])
    expect((await administrator('list', '-q')).stdout).toBe('w@ci\n')
    const unknown = await administrator('token', 'revoke', 'ci', '--json')
    expect([unknown.status, codeOf(unknown)]).toEqual([3, 'token_not_found'])
  })
})
