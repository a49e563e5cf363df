import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from '../../../test/support/home.ts'
import { createFakePlane } from '../../daemon/test/support/fake-plane.ts'
import { startRealDaemon, startTestDaemon, type TestDaemon } from '../../daemon/test/support/test-daemon.ts'
import { everything } from './conformance/everything.ts'
import { type Front, withToken } from './support/with-token.ts'

// The official conformance suite against /mcp of a real daemon: its HTTP, its checks of token, Host and Origin, its limits.
let daemon: TestDaemon
let front: Front
let out: string

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'gibil-conformance-'))
  daemon = await startRealDaemon()
  await daemon.daemon.ready
  front = await withToken(daemon.daemon.url, daemon.daemon.token)
})
afterAll(async () => {
  await front?.[Symbol.asyncDispose]()
  await daemon?.[Symbol.asyncDispose]()
  if (out) await rm(out, { recursive: true, force: true })
})

/** Fails when a scenario fails that is not in the baseline, and when one passes that is. */
async function conforms(url: string, baseline: string, ...which: string[]): Promise<void> {
  const program = join(root, 'node_modules/@modelcontextprotocol/conformance/dist/index.js')
  const expected = join(import.meta.dirname, 'conformance', baseline)
  const args = ['server', '--url', url, '--expected-failures', expected, '-o', out, ...which]
  const { exitCode, all } = await execa(process.execPath, [program, ...args], {
    reject: false,
    all: true,
    timeout: 110_000,
  })
  expect(exitCode, all.slice(all.indexOf('=== SUMMARY'))).toBe(0)
}

test('the server conforms to the protocol of 2026', () =>
  conforms(front.url, 'tools-of-gibil.yml', '--requirements', '2026-07-28'))
test('what the suite asks of a server for tests goes through the same HTTP', async () => {
  await using other = await startTestDaemon(createFakePlane({}), { mcpServer: everything })
  await using front = await withToken(other.daemon.url, other.daemon.token)
  await conforms(front.url, 'everything.yml', '--requirements', '2026-07-28')
})
// Not those that ask for a session, which a server of 2025 may go without.
test('the server conforms to the protocol of 2025', async () => {
  const scenarios = ['server-initialize', 'ping', 'tools-list', 'resources-list', 'dns-rebinding-protection']
  const version = ['--spec-version', '2025-11-25']
  await Promise.all(scenarios.map((scenario) => conforms(front.url, 'nothing.yml', '--scenario', scenario, ...version)))
})
