import { stat } from 'node:fs/promises'
import { homeNames } from '@gibil/host'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { boxPaths } from '../src/box-paths.ts'
import { processLimits } from '../src/process-limits.ts'
import { call, run } from './boxd-call.ts'
import { eventually, openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ pidsLimit: 60 })
  await world.driver.create(world.spec('box', { size: { cpu: 0.25, memoryMib: 96, diskMib: 96 } }))
})
afterAll(async () => {
  expect(await world.end()).toEqual([])
})

const inBox = (command: string) => run(world.driver, 'box', command)

it('gives no more of a CPU than asked for, and tells what was taken', async () => {
  const burn = 'for i in 1 2 3; do (while :; do :; done) & done; sleep 2; kill $(jobs -p)'
  const cpuMs = async () => (await world.driver.cpuMs?.('box')) ?? Number.NaN
  const before = await cpuMs()
  const begun = performance.now()
  await inBox(burn)
  const share = ((await cpuMs()) - before) / (performance.now() - begun)
  expect(share).toBeGreaterThan(0.1)
  expect(share).toBeLessThan(0.35)
})

it('ends a command that takes more memory than the box has, and the box goes on', async () => {
  const hog = await inBox(
    'head -c 300m /dev/zero | tail -c 300m > /dev/null; x=$(head -c 200m /dev/zero | tr "\\0" x); echo survived',
  )
  expect(hog.output).not.toContain('survived')
  expect((await inBox('echo alive')).output).toBe('alive\n')
  expect(await world.driver.inspect('box')).toMatchObject({ status: 'running' })
})

it('counts what is written to /dev/shm and /run as memory', async () => {
  const { output } = await inBox(
    'for d in /dev/shm /run; do dd if=/dev/zero of=$d/fill bs=1M count=200 2>&1; done; echo end; rm -f /dev/shm/fill /run/fill',
  )
  expect(output).toMatch(/No space left|Killed|^$/m)
  expect((await inBox('echo alive')).output).toBe('alive\n')
})

it('has no more processes than it may', async () => {
  const { output } = await inBox(
    'for i in $(seq 1 100); do sleep 5 & done 2>&1; n=$(jobs -p | wc -l); kill $(jobs -p); echo "had $n"',
  )
  const had = Number(/had (\d+)/.exec(output)?.[1] ?? 0)
  expect(had).toBeLessThan(60)
  expect((await inBox('echo alive')).output).toBe('alive\n')
})

it('lets root in while another user has all the processes that it may', async () => {
  const many = 'for i in $(seq 1 100); do sleep 60 & done 2> /dev/null'
  await call(world.driver, 'box', 'POST', '/v1/jobs', { argv: ['bash', '-c', many], user: 'agent', cwd: '/' })
  const ofAgent = async () => Number((await inBox('ps -o user | grep -c "^agent"')).output)
  const { user } = processLimits({ cpu: 0.25, memoryMib: 96, diskMib: 96 }, 60)
  await eventually('the user has all that it may', async () => (await ofAgent()) >= user)
  expect(await ofAgent()).toBeLessThanOrEqual(user + 1)
  await inBox('kill -9 $(ps -o pid,user | sed -n "s/ agent *$//p")')
  await eventually('they are gone', async () => (await ofAgent()) === 0)
})

it('meets ENOSPC at its disk limit, and takes no more of the host than that', async () => {
  const { output } = await inBox('dd if=/dev/zero of=/fill bs=1M count=500 2>&1; sync; stat -c %s /fill')
  expect(output).toContain('No space left on device')
  expect(Number(output.trim().split('\n').at(-1))).toBeLessThan(96 * 1024 * 1024)
  const image = await stat(boxPaths(homeNames(world.home), 'box').diskImage)
  expect(image.blocks * 512).toBeLessThanOrEqual(97 * 1024 * 1024)
  expect((await inBox('rm /fill; echo x > /y && cat /y')).output).toBe('x\n')
})

it('runs out of inodes before it takes those of the host', async () => {
  const made = await inBox(
    'mkdir /many && cd /many && for i in $(seq 1 40); do mkdir $i; (cd $i && touch $(seq 1 1000)) || break; done 2>&1 | tail -1',
  )
  expect(made.output).toContain('No space left on device')
  expect((await inBox('rm -r /many && touch /z && echo ok')).output).toBe('ok\n')
})

it('says that it ran out of memory when that ended boxd itself', async () => {
  await world.driver.create(world.spec('tiny', { size: { cpu: 1, memoryMib: 32, diskMib: 64 } }))
  // boxd is made the first to go, which root in the box may ask for; of the others none is large. Without the last
  // command each would become its sleep, and let go of what it holds.
  const kill =
    'sleep 0.3; echo 1000 > /proc/1/oom_score_adj; echo 300 > /proc/self/oom_score_adj; for i in $(seq 1 12); do (x=$(head -c 3m /dev/zero | tr "\\0" x); sleep 20; :) & done; wait'
  await call(world.driver, 'tiny', 'POST', '/v1/jobs', { argv: ['bash', '-c', kill], user: 'root', cwd: '/' })
  const deadline = Date.now() + 20_000
  while (!world.exits.includes('tiny') && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
  expect(await world.driver.inspect('tiny')).toMatchObject({ status: 'stopped', reason: 'out of memory' })
})
