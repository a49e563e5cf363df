import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compute } from 'computesdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, type TestHome } from '../../../test/support/home.ts'
import { gibil } from '../src/index.ts'

let home: TestHome
let sandbox: Awaited<ReturnType<typeof compute.sandbox.create>>

beforeAll(async () => {
  home = await makeHome()
  const started = await home.startDaemon({ GIBIL_PROXY: 'auto' })
  expect(started.exitCode, started.stderr).toBe(0)
  compute.setConfig({ provider: gibil({ home: home.path, box: { memoryMib: 512 } }) })
  sandbox = await compute.sandbox.create({ envs: { GIVEN: 'yes' }, metadata: { job: 7 }, timeout: 600_000 })
})
afterAll(() => home?.[Symbol.asyncDispose]())

test('a sandbox is a box with what was asked for', async () => {
  expect(await sandbox.getInfo()).toMatchObject({
    id: sandbox.sandboxId,
    provider: 'gibil',
    status: 'running',
    timeout: 600_000,
    metadata: { job: '7', image: 'base' },
  })
  expect((await compute.sandbox.getById(sandbox.sandboxId))?.sandboxId).toBe(sandbox.sandboxId)
  expect(await compute.sandbox.getById('box_nothing')).toBeNull()
  // Boxes that somebody made otherwise are not of this door.
  await home.gibil(['create', '--name', 'other'])
  expect((await compute.sandbox.list()).map(({ sandboxId }) => sandboxId)).toEqual([sandbox.sandboxId])
})

test('commands are lines of a shell, with place, environment, limit and status', async () => {
  const run = sandbox.runCommand.bind(sandbox)
  expect(
    await run('echo "$GIVEN $HERE"; pwd; echo err >&2; exit 3', { cwd: '/tmp', env: { HERE: 'a b' } }),
  ).toMatchObject({
    stdout: 'yes a b\n/tmp\n',
    stderr: 'err\n',
    exitCode: 3,
  })
  expect((await run('printf one | tr o 0 > "a file"; cat "a file"')).stdout).toBe('0ne')
  expect((await run('no-such-program')).exitCode).toBe(127)
  expect((await run('sleep 1000', { timeout: 300 })).exitCode).toBe(124)
  expect(await run('sleep 1; touch ~/later', { background: true })).toMatchObject({ exitCode: 0, stdout: '' })
  await expect.poll(() => sandbox.filesystem.exists('later')).toBe(true)
})

test('output comes while the command runs', async () => {
  const seen: string[] = []
  const running = sandbox.runCommand('echo one; until [ -e ~/go ]; do sleep 0.05; done; echo é; echo err >&2; exit 3', {
    onStdout: (data) => seen.push(data),
    onStderr: (data) => seen.push(`!${data}`),
  })
  await expect.poll(() => seen).toEqual(['one\n'])
  await sandbox.filesystem.writeFile('go', '')
  expect(await running).toMatchObject({ stdout: 'one\né\n', stderr: 'err\n', exitCode: 3 })
  expect([...seen].sort()).toEqual(['!err\n', 'one\n', 'é\n'])
})

test('files', async () => {
  const { filesystem: files } = sandbox
  await files.mkdir('/home/agent/d/e')
  await files.writeFile('d/it is $a', 'täxt')
  expect(await files.readFile('d/it is $a')).toBe('täxt')
  expect((await files.readdir('d')).map(({ name, type }) => [name, type])).toEqual([
    ['e', 'directory'],
    ['it is $a', 'file'],
  ])
  await files.remove('d')
  expect(await files.exists('d')).toBe(false)
  await expect(files.readFile('d/it is $a')).rejects.toThrow()
})

test('a port has an address that opens it', async () => {
  await sandbox.runCommand('cd /tmp && echo page > page && python3 -m http.server 8000', { background: true })
  const url = new URL(await sandbox.getUrl({ port: 8000 }))
  const resolve = ['--resolve', `${url.hostname}:${url.port}:127.0.0.1`]
  url.pathname = '/page'
  await expect
    .poll(() => execFileSync('curl', ['-sL', '-c', '/dev/null', ...resolve, url.href], { encoding: 'utf8' }))
    .toBe('page\n')
  expect(await sandbox.getUrl({ port: 8001, protocol: 'wss' })).toMatch(/^ws:\/\/8001-/)
})

test('a sandbox begins as a snapshot of another', async () => {
  await sandbox.runCommand('echo kept > ~/kept')
  const { id } = await compute.snapshot.create(sandbox.sandboxId, { name: 'saved' })
  expect((await compute.snapshot.list()).map((one) => one.id)).toEqual([id])
  const second = await compute.sandbox.create({ snapshotId: id, envs: { GIVEN: 'other' } })
  expect((await second.runCommand('cat ~/kept; echo $GIVEN')).stdout).toBe('kept\nother\n')
  expect(await compute.sandbox.list()).toHaveLength(2)
  await second.destroy()
  await compute.snapshot.delete(id)
  expect(await compute.snapshot.list()).toEqual([])
})

test('a template is an image, made of a Dockerfile', async () => {
  const { template } = gibil({ home: home.path })
  const context = await mkdtemp(join(tmpdir(), 'gibil-template-'))
  await writeFile(join(context, 'Dockerfile'), 'FROM base\nRUN echo made > /made\n')
  expect(await template?.create({ name: 'mine', ...{ context } })).toMatchObject({ name: 'mine' })
  await rm(context, { recursive: true })
  const made = await compute.sandbox.create({ templateId: 'mine' })
  expect((await made.runCommand('cat /made')).stdout).toBe('made\n')
  await made.destroy()
  await template?.delete('mine')
  expect((await template?.list())?.map(({ name }) => name)).not.toContain('mine')
})

test('a sandbox is gone when it was destroyed, and may be destroyed again', async () => {
  await sandbox.destroy()
  expect(await compute.sandbox.getById(sandbox.sandboxId)).toBeNull()
  await compute.sandbox.destroy(sandbox.sandboxId)
  await expect(sandbox.runCommand('true')).rejects.toThrow('There is no box')
})
