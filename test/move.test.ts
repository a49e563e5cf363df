import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { checksumOfTree, oddFiles } from './support/odd-tree.ts'
import { makeSmallImage } from './support/small-image.ts'

/** Boxes of a small image, whose trees are carried for real: containers of runc, and microvms that boot. */
const slow = 300_000
const machine = ['--shape', 'microvm', '--cpu', '1', '--memory', '256M', '--disk', '1G']

let home: TestHome

beforeAll(async () => {
  home = await makeHome('no image')
  await home.startDaemon()
  await makeSmallImage(home, 'small')
}, slow)
afterAll(() => home?.[Symbol.asyncDispose](), slow)

const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}
const inside = (box: string, line: string): Promise<string> =>
  must('run', box, '--user', 'root', '--', 'sh', '-ec', line)
const show = async (box: string): Promise<Record<string, unknown>> => JSON.parse(await must('show', box, '--json'))
const create = (name: string, ...more: string[]) =>
  must('create', '--image', 'small', '--name', name, '--shape', 'container', '--disk', '1G', '--ttl', '3h', ...more)

const checksum = (box: string): Promise<string> => inside(box, checksumOfTree)

const pid = 'cat /tmp/pid; kill -0 "$(cat /tmp/pid)" && echo lives'
const background = "sh -c 'echo $$ > /tmp/pid; while sleep 0.1; do echo tick >> /tmp/ticks; done'"

describe('a box that is moved', { timeout: slow }, () => {
  it('from a container to a microvm and back has the same files, name, lease and ports', async () => {
    await create('odd', '--env', 'WORD=kept', '--label', 'team=a')
    await inside('odd', oddFiles)
    await must('publish', 'odd', '8080')
    const { id, name, lease, labels, published } = await show('odd')
    const before = await checksum('odd')

    const refused = await home.gibil(['move', 'odd', ...machine])
    expect(refused.stderr).toContain('processes do not')
    expect(await show('odd')).toMatchObject({ shape: 'container', status: 'running' })

    const moved = JSON.parse(await must('move', 'odd', ...machine, '--yes', '--json'))
    expect(moved).toMatchObject({ changed: [], box: { id, name, lease, labels, published, shape: 'microvm' } })
    expect(await checksum('odd')).toBe(before)
    expect(await inside('odd', 'echo $WORD; stat -c %b /work/sparse; stat -c "%i" /work/file /work/same')).toMatch(
      /^kept\n\d{1,4}\n(\d+)\n\1\n$/,
    )
    expect(await readdir(join(home.path, 'boxes'))).toEqual([])

    await must('move', 'odd', '--shape', 'container', '--yes')
    expect(await show('odd')).toMatchObject({ id, name, lease, labels, published, shape: 'container' })
    expect(await checksum('odd')).toBe(before)
    expect(await readdir(join(home.path, 'microvm/boxes'))).toEqual([])
    await must('stop', 'odd')
    await must('start', 'odd')
    expect(await checksum('odd')).toBe(before)
    await must('destroy', 'odd', '--yes')
  })

  it('is refused before anything is made when the target is too small, and goes on', async () => {
    await create('large')
    await inside('large', 'dd if=/dev/urandom of=/work bs=1M count=300 2>/dev/null')
    await must('run', 'large', '--detach', '--user', 'root', '--', 'sh', '-c', background)
    const small = await home.gibil(['move', 'large', ...machine, '--disk', '256M', '--yes', '--json'])
    expect(JSON.parse(small.stdout || small.stderr)).toMatchObject({ error: { code: 'invalid_size' } })
    const never = await home.gibil(['move', 'large', '--shape', 'microvm', '--memory', '4000G', '--yes'])
    expect(never.stderr).toContain('does not fit')
    expect(await inside('large', pid)).toMatch(/lives/)
    expect(await readdir(join(home.path, 'microvm/boxes'))).toEqual([])
    await must('destroy', 'large', '--yes')
  })

  it('is saved as an image, and goes on', async () => {
    await create('model')
    await inside('model', oddFiles)
    const before = await checksum('model')
    await must('run', 'model', '--detach', '--user', 'root', '--', 'sh', '-c', background)
    await must('image', 'save', 'model', 'saved')
    expect(await inside('model', pid)).toMatch(/lives/)
    await must('create', '--image', 'saved', '--name', 'copy', '--shape', 'container', '--disk', '1G')
    expect(await checksum('copy')).toBe(before)
    await must('destroy', 'model', 'copy', '--yes')
  })

  it('to another size of its shape keeps its disk where it is', async () => {
    await create('grows', '--memory', '256M')
    await inside('grows', 'echo kept > /file')
    await must('move', 'grows', '--memory', '512M', '--yes')
    expect(await show('grows')).toMatchObject({ size: { memoryMib: 512 }, status: 'running' })
    expect(await inside('grows', 'cat /file')).toBe('kept\n')
    await must('destroy', 'grows', '--yes')
  })

  it.runIf(full)('to a container is refused when a file belongs to an id that no container has', async () => {
    await must('create', '--image', 'small', '--name', 'ids', ...machine)
    await inside('ids', 'touch /theirs; chown 100000:100000 /theirs')
    const refused = await home.gibil(['move', 'ids', '--shape', 'container', '--yes'])
    expect(refused.stderr).toMatch(/\/theirs belongs to the id 100000/)
    expect(await inside('ids', 'stat -c %u /theirs')).toBe('100000\n')
    await must('destroy', 'ids', '--yes')
  })
})

const steps = [
  'move.noted',
  'move.first',
  'move.still',
  'move.copied',
  'move.made',
  'move.answers',
  'move.became',
  'move.clear',
  'move.cleared',
] as const
/** Before the record names the new place, and after. */
const few = ['move.answers', 'move.became'] as const

describe('the daemon killed in a move', { timeout: slow }, () => {
  it.each(full ? steps : few)('at %s: the next one has one good box', async (step) => {
    await home.startDaemon()
    await create('victim')
    await inside('victim', 'echo kept > /file')
    await must('run', 'victim', '--detach', '--user', 'root', '--', 'sh', '-c', background)
    await home.gibil(['down'])
    await home.startDaemon({ GIBIL_FAILPOINT: step })
    expect((await home.gibil(['move', 'victim', ...machine, '--yes'])).exitCode).not.toBe(0)

    await home.gibil(['down'])
    await home.startDaemon()
    expect(await inside('victim', 'cat /file')).toBe('kept\n')
    const { shape, id } = await show('victim')
    const arrived = steps.indexOf(step) >= steps.indexOf('move.became')
    expect(shape).toBe(arrived ? 'microvm' : 'container')
    // What ran in a box that is as it was runs on.
    if (!arrived) expect(await inside('victim', pid)).toMatch(/lives/)
    const [here, there] = arrived ? ['microvm/boxes', 'boxes'] : ['boxes', 'microvm/boxes']
    expect(await readdir(join(home.path, here))).toEqual([id])
    await expect.poll(() => readdir(join(home.path, there)), { timeout: 30_000 }).toEqual([])
    await must('destroy', 'victim', '--yes')
  })
})
