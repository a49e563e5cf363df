import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { steps } from '@gibil/driver-container'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tried } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'

let home: TestHome
let bystander: string

const json = (text: string): Record<string, unknown> => JSON.parse(text)

async function daemonThatDiesAt(step: string): Promise<void> {
  await home.gibil(['down'])
  const started = await home.startDaemon({ GIBIL_FAILPOINT: step })
  expect(started.exitCode, started.stderr).toBe(0)
}

/** A new daemon, once it has finished or undone what the dead one had begun. */
async function afterTheNextStart(): Promise<{ id: string; name: string; status: string }[]> {
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const listed = await home.gibil(['list', '--json'])
    const boxes: { id: string; name: string; status: string }[] = JSON.parse(listed.stdout)
    if (boxes.every((box) => box.status === 'running')) return boxes
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`The daemon did not settle: ${(await home.gibil(['list', '--json'])).stdout}`)
}

async function expectBystanderUnharmed(): Promise<void> {
  const ticks = await home.gibil(['run', 'bystander', 'cat ticks | tail -n 1; pgrep -f "ticking forever" | wc -l'])
  expect(ticks.exitCode, ticks.stderr).toBe(0)
  const [last, running] = ticks.stdout.trim().split('\n').map(Number)
  expect(last).toBeGreaterThan(0)
  expect(running).toBeGreaterThan(0)
}

const boxDirs = (): Promise<string[]> => readdir(join(home.path, 'boxes'))

beforeAll(async () => {
  home = await makeHome()
  await home.startDaemon()
  bystander = String(json((await home.gibil(['create', '--name', 'bystander', '--ttl', '3h', '--json'])).stdout)['id'])
  const command = 'i=0; : ticking forever; while sleep 0.1; do i=$((i + 1)); echo $i >> ticks; done'
  expect((await home.gibil(['run', 'bystander', '--detach', command])).exitCode).toBe(0)
})
afterAll(() => home?.[Symbol.asyncDispose]())

describe('the daemon killed with SIGKILL', () => {
  it.each(tried(steps.create))(
    'at %s: the next one finishes the box or removes it, and harms no other',
    async (step) => {
      await daemonThatDiesAt(step)
      const created = await home.gibil(['create', '--name', 'victim', '--json'])
      expect(created.exitCode).not.toBe(0)

      const boxes = await afterTheNextStart()
      const victim = boxes.find((box) => box.name === 'victim')
      if (victim) expect((await home.gibil(['run', 'victim', 'echo whole'])).stdout).toBe('whole\n')
      await expectBystanderUnharmed()
      if (victim) expect((await home.gibil(['destroy', 'victim'])).exitCode).toBe(0)
      expect(await boxDirs()).toEqual([bystander])
      if (victim) expect(await tracesOf(victim.id)).toEqual([])
    },
  )

  it.each(tried(steps.destroy))('at %s: the next one finishes the destroy without a trace', async (step) => {
    await home.startDaemon()
    const victim = String(json((await home.gibil(['create', '--name', 'victim', '--json'])).stdout)['id'])
    await daemonThatDiesAt(step)
    expect((await home.gibil(['destroy', 'victim'])).exitCode).not.toBe(0)

    expect((await afterTheNextStart()).map((box) => box.name)).toEqual(['bystander'])
    await expectBystanderUnharmed()
    expect(await tracesOf(victim)).toEqual([])
    expect(await boxDirs()).toEqual([bystander])
  })
})
