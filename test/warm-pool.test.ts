import { steps } from '@gibil/driver-container'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { apiOf } from './support/api.ts'
import { footprintOf } from './support/footprint.ts'
import { full, tried } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'

let home: TestHome
const pool = { GIBIL_POOL: '3' }

interface Shown {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly address: string | null
  readonly timings: readonly { phase: string }[]
}

async function ok(args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await home.gibil(args)
  expect(exitCode, stderr).toBe(0)
  return stdout
}
const create = async (...args: string[]): Promise<Shown> => JSON.parse(await ok(['create', ...args, '--json']))
const run = (box: string, line: string): Promise<string> => ok(['run', box, line])
/** A box that was made when it was asked for went through the runtime; one from the pool did not. */
const wasReady = ({ timings }: Shown): boolean => !timings.some(({ phase }) => phase === 'runtime')

async function spares(): Promise<number> {
  const { text } = await (await apiOf(home)).call('GET', '/v1/metrics')
  return Number(/^gibil_pool_spares\{count="ready"\} (\d+)$/m.exec(text)?.[1])
}
const filled = (count: number) => expect.poll(spares, { timeout: 60_000 }).toBeGreaterThanOrEqual(count)

beforeAll(async () => {
  home = await makeHome()
  await home.startDaemon(pool)
})
afterEach(async () => {
  await ok(['destroy', '--all', '--yes'])
})
afterAll(() => home?.[Symbol.asyncDispose]())

describe('a box from the pool', () => {
  it('is as it was asked for, and as new', async () => {
    await filled(2)
    expect(JSON.parse(await ok(['list', '--json']))).toEqual([])
    const box = await create('--name', 'mine', '--env', 'COLOUR=red', '--label', 'a=b', '--user', 'root')
    expect(wasReady(box)).toBe(true)
    expect(await run('mine', 'hostname; cat /etc/hostname; echo $COLOUR; id -un')).toBe('mine\nmine\nred\nroot\n')
    expect(await run('mine', 'getent hosts mine | cut -d " " -f 1')).toBe(`${box.address}\n`)
    expect(await run('mine', 'grep -rs spare /etc/hosts /etc/hostname /etc/resolv.conf || echo none')).toBe('none\n')
  })

  it('is never the same twice', async () => {
    await filled(2)
    const mark = 'test ! -e /tmp/used && touch /tmp/used && cat /etc/machine-id'
    const seen = new Set<string>()
    for (let count = 0; count < 6; count += 1) {
      const { id, name } = await create()
      seen.add(id).add((await run(name, mark)).trim())
      await ok(['destroy', name])
    }
    expect(seen.size).toBe(12)
  })

  it('has no network when none was asked for, and loses it for good', async () => {
    await filled(2)
    const box = await create('--name', 'island', '--network', 'none')
    expect(wasReady(box)).toBe(true)
    expect(box.address).toBeNull()
    expect(await run('island', 'tail -n +3 /proc/net/dev | cut -d : -f 1 | tr -d " "')).toBe('lo\n')
    await ok(['stop', 'island'])
    await ok(['start', 'island'])
    expect(await run('island', 'tail -n +3 /proc/net/dev | cut -d : -f 1 | tr -d " "; hostname')).toBe('lo\nisland\n')
  })

  it.runIf(full)('is of another size only when the pool has learnt that one', async () => {
    await filled(2)
    expect(wasReady(await create('--name', 'first', '--memory', '512M'))).toBe(false)
    await expect
      .poll(async () => {
        const box = await create('--memory', '512M')
        await ok(['destroy', box.name])
        return wasReady(box)
      })
      .toBe(true)
  })

  it('does not keep a burst from being made', async () => {
    await filled(2)
    const boxes = await Promise.all(Array.from({ length: 8 }, () => create()))
    expect(new Set(boxes.map(({ id }) => id)).size).toBe(8)
    expect(boxes.filter(wasReady).length).toBeGreaterThan(0)
    const names = await Promise.all(boxes.map(({ name }) => run(name, 'hostname')))
    expect(names).toEqual(boxes.map(({ name }) => `${name}\n`))
    await filled(3)
  })
})

describe('a daemon with a pool', () => {
  it('leaves nothing of it when it stops, and boxes go on', async () => {
    await filled(3)
    await create('--name', 'stays')
    await run('stays', 'echo kept > file')
    await ok(['down'])
    const left = await footprintOf(home.path)
    await home.startDaemon({ GIBIL_POOL: '0' })
    expect(await run('stays', 'cat file')).toBe('kept\n')
    const { id } = JSON.parse(await ok(['show', 'stays', '--json']))
    expect(left.filter((line) => line.startsWith('box: '))).toEqual([`box: ${id}`])
    await ok(['destroy', 'stays'])
    expect(await tracesOf(id)).toEqual([])
    await ok(['down'])
    await home.startDaemon(pool)
  })

  it.each(tried(steps.adapt))('killed at %s: the next one finishes the box as it was asked for', async (step) => {
    await ok(['down'])
    await home.startDaemon({ ...pool, GIBIL_FAILPOINT: step })
    await filled(2)
    const created = await home.gibil(['create', '--name', 'victim', '--network', 'none', '--json'])
    expect(created.exitCode).not.toBe(0)
    await home.startDaemon(pool)
    await expect.poll(async () => JSON.parse(await ok(['show', 'victim', '--json'])).status).toBe('running')
    expect(await run('victim', 'hostname; tail -n +3 /proc/net/dev | cut -d : -f 1 | tr -d " "')).toBe('victim\nlo\n')
    // Spares of the dead daemon are gone, and there are new ones.
    await filled(2)
    const boxes = async (): Promise<number> =>
      (await footprintOf(home.path)).filter((line) => line.startsWith('box: ')).length
    await expect.poll(async () => (await boxes()) - (await spares())).toBe(1)
  })
})
