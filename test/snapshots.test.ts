import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Box, Fork, Snapshot } from '@gibil/sdk'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { footprintOf } from './support/footprint.ts'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { makeProject } from './support/project.ts'

let home: TestHome

beforeAll(async () => {
  home = await makeHome()
  await start()
})
afterAll(() => home?.[Symbol.asyncDispose]())

async function start(): Promise<number> {
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  return JSON.parse(await must('version', '--json')).daemon.pid
}
const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
const inBox = (name: string, command: string): Promise<string> => must('run', name, command)
const list = async (...args: string[]): Promise<Snapshot[]> => JSON.parse(await must('snapshots', ...args, '--json'))
const answers =
  'for i in $(seq 100); do test "$(cat /tmp/served 2>/dev/null)" = up && break; sleep 0.1; done; cat /tmp/served'

it('saves a project that was set up, puts it back, and forks it without setting it up again', async () => {
  await using project = await makeProject(
    [
      'services:',
      "  web: { command: 'rm -f /tmp/served; echo up > /tmp/served; sleep 1000', ready: { command: test -e /tmp/served } }",
      "tasks: ['echo built >> ../builds']",
    ].join('\n'),
  )
  const { exitCode } = await home.gibil(['create', '--name', 'w', '--repo', '.', '--env', 'A=1', '--ttl', '2h'], {
    cwd: project.path,
  })
  expect(exitCode).toBe(0)
  await inBox('w', 'echo good > state')
  expect(await must('snapshot', 'w', 'good')).toBe('good\n')
  await inBox('w', 'echo bad > state; rm -rf .git; sudo rm -rf /usr/bin/env')

  const before: Box = JSON.parse(await must('show', 'w', '--json'))
  expect(await must('restore', 'w', 'good')).toBe('w\n')
  expect(await inBox('w', 'cat state ../builds; git status --short; env | grep ^A=')).toBe(
    'good\nbuilt\n?? state\nA=1\n',
  )
  expect(await inBox('w', answers)).toBe('up\n')
  const after: Box = JSON.parse(await must('show', 'w', '--json'))
  const [good] = await list()
  expect(after).toMatchObject({ id: before.id, lease: before.lease, readiness: 'ready', parent: good?.id })

  const fork: Fork = JSON.parse(await must('fork', 'w', '--name', 'f', '--count', '2', '--ttl', '30m', '--json'))
  expect(fork.boxes.map(({ name, readiness }) => `${name} ${readiness}`)).toEqual(['f-1 ready', 'f-2 ready'])
  for (const name of ['f-1', 'f-2']) {
    expect(await inBox(name, 'hostname; cat state ../builds; pwd; env | grep ^A=')).toBe(
      `${name}\ngood\nbuilt\n/home/agent/project\nA=1\n`,
    )
    expect(await inBox(name, answers)).toBe('up\n')
  }
  await inBox('f-1', 'echo first > state')
  expect(await inBox('f-2', 'cat state')).toBe('good\n')
  expect(await inBox('w', 'cat state')).toBe('good\n')
  expect(await list()).toHaveLength(1)
  await must('snapshot', 'f-1', 'second')
  expect(await must('snapshots')).toMatch(/^ {2}second +f-1 +disk +[\d.]+ [KM]iB +good /m)

  // The image is needed as long as a snapshot lies over it.
  for (const name of ['w', 'f-1', 'f-2']) await must('destroy', name)
  const { stdout } = await home.gibil(['image', 'rm', 'base', '--json'])
  expect(JSON.parse(stdout).error.code).toBe('image_in_use')
  expect(await must('fork', 'second', '--name', 'again')).toBe('again\n')
  expect(await inBox('again', 'cat state')).toBe('first\n')

  const refused = await home.gibil(['snapshot', 'again', '--memory'])
  expect(refused.exitCode).toBe(5)
  expect(refused.stderr).toContain('--disk-only')
  await must('snapshots', 'rm', 'good', 'second')
  await must('destroy', 'again')
  expect(await readdir(join(home.path, 'snapshots'))).toEqual([])
  await must('down')
  expect(await footprintOf(home.path)).toEqual([])
})

it.runIf(full)(
  'goes on after a daemon that was killed: snapshots are whole or gone, and boxes are what they were to be',
  async () => {
    await start()
    await must('create', '--name', 'w')
    await inBox('w', 'head -c 40M /dev/urandom > big; sync; echo one > state')
    await must('snapshot', 'w', 'one')
    await inBox('w', 'echo two > state; sync')
    for (const args of [
      ['snapshot', 'w', 'cut'],
      ['restore', 'w', 'one'],
      ['fork', 'w', '--name', 'f', '--wait', 'created'],
    ]) {
      const pid = await start()
      const cut = home.gibil(args)
      await new Promise((resolve) => setTimeout(resolve, 350))
      process.kill(pid, 'SIGKILL')
      await cut
      await start()
      await expect
        .poll(async () => (await list()).map(({ status }) => status), { timeout: 60_000, interval: 200 })
        .not.toContain('creating')
      const boxes: Box[] = JSON.parse(await must('list', '--json'))
      for (const { name } of boxes) expect(await inBox(name, 'cat state')).toMatch(/^(one|two)\n$/)
    }
    // The one that was taken for the fork goes once the boxes that it was for are there.
    const known = async (): Promise<string[]> => (await list()).map(({ id }) => id).sort()
    await expect
      .poll(async () => (await readdir(join(home.path, 'snapshots'))).sort(), { timeout: 30_000, interval: 200 })
      .toEqual(await known())
    await must('snapshots', 'rm', '--all', '--yes')
    await must('destroy', '--all', '--yes')
    expect(await readdir(join(home.path, 'snapshots'))).toEqual([])
    await must('down')
    expect(await footprintOf(home.path)).toEqual([])
  },
)

it('lets a box read what it was, over the death of the daemon', async () => {
  await start()
  await must('create', '--name', 'r')
  await inBox('r', 'echo before > note')
  await must('snapshot', 'r', 'earlier')
  await inBox('r', 'echo after > note')
  expect(await must('mount', 'r', 'earlier')).toBe('/snapshots/earlier\n')
  const old = '/snapshots/earlier/home/agent/note'
  expect(await inBox('r', `cat ${old} ~/note; touch ${old} 2>/dev/null || echo kept`)).toBe('before\nafter\nkept\n')
  process.kill(Number(JSON.parse(await must('version', '--json')).daemon.pid), 'SIGKILL')
  await start()
  expect(await must('mount', 'r')).toMatch(/^\/snapshots\/earlier +earlier$/m)
  await must('snapshots', 'rm', 'earlier')
  expect(await inBox('r', `cat ${old}`)).toBe('before\n')
  expect(await must('unmount', 'r', '/snapshots/earlier')).toBe('/snapshots/earlier\n')
  expect(await inBox('r', 'ls /snapshots')).toBe('')
  await must('destroy', 'r')
  await must('down')
  expect(await footprintOf(home.path)).toEqual([])
})
