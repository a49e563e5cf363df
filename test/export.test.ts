import { copyFile, open, readdir, readFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { encodeHeader, tarEnd } from '../packages/images/src/tar-write.ts'
import { makeHome, root, type TestHome } from './support/home.ts'
import { checksumOfTree, oddFiles } from './support/odd-tree.ts'
import { makeSmallImage } from './support/small-image.ts'

/** One container, written to files and made again of them. */
const slow = 120_000
let home: TestHome
let before: string

const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}
const inside = (box: string, line: string): Promise<string> =>
  must('run', box, '--user', 'root', '--', 'sh', '-ec', line)
const show = async (box: string): Promise<Record<string, unknown>> => JSON.parse(await must('show', box, '--json'))
const file = (name: string): string => join(home.path, name)
/** Boxes, images and layers on the disk: what a failed import must not add to. */
const traces = async (): Promise<unknown> => [
  await readdir(join(home.path, 'boxes')),
  await readdir(join(home.path, 'images/layers')),
  await readdir(join(home.path, 'images/manifests')),
  await readdir(join(home.path, 'images/tmp')),
]

beforeAll(async () => {
  home = await makeHome('no image')
  await home.startDaemon()
  await makeSmallImage(home, 'small')
  const settings = ['--env', 'WORD=kept', '--env', 'OTHER=too', '--label', 'team=a', '--ttl', '3h', '--idle', '2h']
  await must('create', '--image', 'small', '--name', 'odd', '--shape', 'container', '--disk', '1G', ...settings)
  await inside('odd', oddFiles)
  const plain = await inside('odd', checksumOfTree)
  // The box has no program that sets extended attributes, but its tar does.
  const attributed = {
    name: 'work/file',
    type: 'file',
    mode: 0o640,
    uid: 1,
    gid: 2,
    size: 0,
    mtime: 1,
    link: '',
  } as const
  const xattrs = new Map([['user.word', Buffer.from('attributed')]])
  const input = Buffer.concat([encodeHeader({ ...attributed, xattrs }), tarEnd]).toString('latin1')
  const unpacked = await home.gibil(
    ['run', 'odd', '--user', 'root', '--', 'tar', '-xC', '/', '--xattrs', '--xattrs-include=*'],
    { input },
  )
  expect(unpacked.exitCode, unpacked.stderr).toBe(0)
  before = await inside('odd', checksumOfTree)
  expect(before).not.toBe(plain)
  await must('publish', 'odd', '8080')
  await must(
    'run',
    'odd',
    '--detach',
    '--user',
    'root',
    '--',
    'sh',
    '-c',
    'echo $$ > /tmp/pid; while sleep 0.1; do echo tick > /tmp/tick; done',
  )
}, slow)
afterAll(() => home?.[Symbol.asyncDispose](), slow)

test('a box becomes a file and a box again, and goes on meanwhile', { timeout: slow }, async () => {
  const exported = JSON.parse(await must('export', 'odd', file('odd.gibil'), '--json'))
  expect(exported).toMatchObject({ changed: [], changedCount: 0, envNames: ['OTHER', 'WORD'] })
  expect((await stat(file('odd.gibil'))).mode & 0o777).toBe(0o600)
  expect(await inside('odd', 'kill -0 "$(cat /tmp/pid)" && echo lives')).toBe('lives\n')
  const again = await home.gibil(['export', 'odd', file('odd.gibil')])
  expect(again.stderr).toContain('is there already')

  const taken = await home.gibil(['import', file('odd.gibil'), '--json'])
  expect(JSON.parse(taken.stdout)).toMatchObject({ error: { code: 'name_in_use' } })
  const machine = await home.gibil(['import', file('odd.gibil'), '--name', 'machine', '--shape', 'vm'])
  expect(machine.stderr).toContain('gibil move <box> --shape vm')
  await must('import', file('odd.gibil'), '--name', 'twin', '--env', 'OTHER=given')
  expect(await inside('twin', checksumOfTree)).toBe(before)
  expect(await inside('twin', 'echo "$WORD,$OTHER"')).toBe(',given\n')
  const { labels, published, size, image, shape } = await show('odd')
  const twin = { name: 'twin', readiness: 'ready', lease: { ttlSeconds: 10_800, idleSeconds: 7200 } }
  expect(await show('twin')).toMatchObject({ labels, published, size, image, shape, ...twin })
  await must('destroy', 'twin', '--yes')
})

test('by a pipe, with the values of its environment', { timeout: slow }, async () => {
  const env = { GIBIL_HOME: home.path, GIBIL_POOL: '0', NO_COLOR: '1' }
  const line =
    './gibil export odd - --with-env --no-compress | tee "$GIBIL_HOME/plain" | ./gibil import - --name piped --ttl 5h'
  await execa('sh', ['-c', line], { cwd: root, env })
  expect(await inside('piped', checksumOfTree)).toBe(before)
  expect(await inside('piped', 'echo "$WORD,$OTHER"')).toBe('kept,too\n')
  expect((await show('piped'))['lease']).toMatchObject({ ttlSeconds: 18_000 })
  // A plain one is a tar archive for everybody.
  const { stdout } = await execa('tar', ['-xOf', file('plain'), 'gibil-box.json'])
  expect(JSON.parse(stdout)).toMatchObject({ format: 'gibil-box', name: 'odd', env: { WORD: 'kept' } })
  const listed = (await execa('tar', ['-tf', file('plain')])).stdout.split('\n')
  expect(listed).toContain('work/file')
  expect(listed.at(-1)).toBe('gibil-box.sum')
  await must('destroy', 'piped', '--yes')
})

test('of a file that is not whole nothing is made', { timeout: slow }, async () => {
  await must('export', 'odd', file('good'), '--no-compress')
  const bytes = await readFile(file('good'))
  const at = bytes.indexOf('a program')
  expect(at).toBeGreaterThan(0)
  const there = await traces()
  const bad = async (name: string, change: (path: string) => Promise<unknown>): Promise<void> => {
    await copyFile(file('good'), file(name))
    await change(file(name))
    const refused = await home.gibil(['import', file(name), '--name', 'never', '--json'])
    expect(JSON.parse(refused.stdout), name).toMatchObject({ error: { code: 'box_file_invalid' } })
    expect(await traces(), name).toEqual(there)
  }
  await bad('flipped', async (path) => {
    const handle = await open(path, 'r+')
    await handle.write('A', at)
    await handle.close()
  })
  await bad('cut', (path) => truncate(path, bytes.length - 700))
  await bad('no box', (path) => execa('tar', ['-cf', path, '-C', root, 'LICENSE']))
})
