import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import type { Box, Fork, PortAddress } from '@gibil/sdk'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeHome, type TestHome } from './support/home.ts'

/** A machine of the image base boots for half a minute where the processor is emulated and the machine is busy. */
const slow = 600_000

let home: TestHome

beforeAll(async () => {
  home = await makeHome()
  await start()
}, slow)
afterAll(() => home?.[Symbol.asyncDispose](), slow)

async function start(): Promise<number> {
  const started = await home.startDaemon({ GIBIL_PROXY: 'auto' })
  expect(started.exitCode, started.stderr).toBe(0)
  return JSON.parse(await must('version', '--json')).daemon.pid
}
const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}
const run = (name: string, line: string): Promise<string> => must('run', name, '--', 'sh', '-ec', line)
const count = async (name: string): Promise<number> => Number((await run(name, 'tail -n 1 /tmp/count')).trim())
const status = async (): Promise<string> => (JSON.parse(await must('show', 'm', '--json')) as Box).status

it('sleeps on the disk, over the death of the daemon too, and goes on in itself and in its forks', {
  timeout: slow,
}, async () => {
  await must('create', '--shape', 'microvm', '--memory', '512M', '--name', 'm', '--ttl', '2h')
  await must(
    'run',
    'm',
    '--detach',
    '--',
    'sh',
    '-c',
    'while :; do i=$((i+1)); echo $i >> /tmp/count; sleep 0.05; done',
  )
  await expect.poll(() => run('m', 'cat /tmp/count || true')).not.toBe('')
  const asleepAt = await count('m')
  await must('pause', 'm')
  expect(await status()).toBe('paused')
  expect(await machines()).toEqual([])
  process.kill(await start(), 'SIGKILL')
  await start()
  expect(await status()).toBe('paused')
  await must('resume', 'm')
  await run('m', 'sleep 0.5')
  expect(await count('m')).toBeGreaterThan(asleepAt)

  // By the SSH server of the daemon: no box of this image has one. SFTP is boxd's own, which is in no file of the box.
  expect(await must('ssh', 'm', '--', 'uname -r')).not.toBe(`${release()}\n`)
  await must('ssh-config')
  await execa('scp', ['-qF', join(home.path, 'ssh/config'), 'package.json', 'm.gibil:by-scp'])
  expect(await run('m', 'cat ~/by-scp')).toBe(await readFile('package.json', 'utf8'))

  const forkedAt = await count('m')
  const fork: Fork = JSON.parse(await must('fork', 'm', '--name', 'f', '--count', '3', '--json'))
  const names = fork.boxes.map(({ name }) => name)
  expect(names).toEqual(['f-1', 'f-2', 'f-3'])
  for (const name of ['m', ...names]) {
    await run(name, 'sleep 0.3')
    expect(await count(name)).toBeGreaterThan(forkedAt)
    expect(await run(name, 'hostname')).toBe(`${name}\n`)
  }
  const ids = await Promise.all(['m', ...names].map((name) => run(name, 'cat /etc/machine-id')))
  expect(new Set(ids).size).toBe(4)
  await must('destroy', '--all', '--yes')
  expect(await machines()).toEqual([])
})

it('is saved, read, put back, published, woken by a visitor, stopped, started and destroyed', {
  timeout: slow,
}, async () => {
  const made: Box = JSON.parse(
    await must('create', '--shape', 'microvm', '--memory', '512M', '--name', 'm', '--ttl', '2h', '--json'),
  )
  expect(made.shape).toBe('microvm')
  expect(await must('run', 'm', '--', 'uname', '-r')).not.toBe(`${release()}\n`)
  await run('m', 'echo before > file')
  await must('snapshot', 'm', 'good')
  await run('m', 'echo after > file; touch other')
  expect(await must('snapshots')).toMatch(/^ *good +m +disk\+memory /m)
  await must('mount', 'm', 'good')
  expect(await run('m', 'cat /snapshots/good/home/agent/file; cat file')).toBe('before\nafter\n')
  await must('unmount', 'm', 'good')
  await must('restore', 'm', 'good')
  expect(await run('m', 'cat file; ls')).toBe('before\nfile\n')

  const server = "require('node:http').createServer((_, answer) => answer.end('awake')).listen(3000)"
  await must('run', 'm', '--detach', '--', 'node', '-e', server)
  const { url, token }: PortAddress = JSON.parse(await must('publish', 'm', '3000', '--json'))
  const visit = () =>
    execa('curl', ['-sS', '--retry', '20', '--retry-all-errors', '-H', `X-Gibil-Token: ${token}`, `${url}`])
  await expect.poll(async () => (await visit()).stdout).toBe('awake')
  await must('pause', 'm')
  expect((await visit()).stdout).toBe('awake')
  expect(await status()).toBe('running')
  await must('pause', 'm')
  expect(await run('m', 'cat file')).toBe('before\n')

  await must('stop', 'm')
  await must('start', 'm')
  expect(await run('m', 'cat file')).toBe('before\n')
  await must('destroy', 'm')
  // A snapshot outlives its box.
  await must('fork', 'good', '--name', 'again')
  expect(await run('again', 'cat file; hostname')).toBe('before\nagain\n')
  await must('snapshots', 'rm', 'good')
  await must('destroy', '--all', '--yes')
  expect(await machines()).toEqual([])
})

/** What QEMU processes of this home there are. */
async function machines(): Promise<string[]> {
  const { stdout } = await execa('pgrep', ['-f', 'qemu-system-x86_64'], { reject: false })
  const found: string[] = []
  for (const pid of stdout.split('\n').filter(Boolean)) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (line.includes(home.path)) found.push(pid)
  }
  return found
}
