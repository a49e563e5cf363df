import { execFile } from 'node:child_process'
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { FrameType } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createBoxdClient } from './client.ts'
import { type RealBoxd, startBoxd } from './testing/real-boxd.ts'
import type { BoxdClient, CommandChannel } from './types.ts'

const run = promisify(execFile)

let boxd: RealBoxd
let client: BoxdClient
beforeAll(async () => {
  boxd = await startBoxd()
  client = createBoxdClient(boxd.dial)
})
afterAll(() => boxd[Symbol.asyncDispose]())

async function firstOutput(channel: CommandChannel): Promise<string> {
  for await (const { type, payload } of channel) if (type === FrameType.stdout) return payload.toString()
  return ''
}
const signalOf = async (id: string) => (await client.getJob(id)).exit?.signal

describe('a command that hangs up', () => {
  /** The command prints its own job, as far as a test needs it: the newest. */
  const left = async (script: string, tty: boolean): Promise<string> => {
    const size = tty ? { tty: { cols: 80, rows: 24 } } : {}
    const channel = await client.openCommand({
      argv: ['sh', '-c', script],
      cwd: '/',
      hangUp: true,
      stdin: true,
      ...size,
    })
    await firstOutput(channel)
    channel.close()
    return (await client.listJobs()).at(-1)?.id ?? ''
  }

  test('loses its terminal with its client', async () => {
    const id = await left('echo on; exec sleep 1000', true)
    await expect.poll(() => signalOf(id)).toBe('SIGHUP')
  })

  test('loses its pipes with its client, and goes on as long as it does not use them', async () => {
    const id = await left('echo on; cat >/dev/null; while sleep 0.02; do echo more; done', false)
    await expect.poll(async () => (await client.getJob(id)).exit).not.toBeNull()
    const quiet = await left('echo on; exec sleep 1000', false)
    expect((await client.getJob(quiet)).exit).toBeNull()
    await client.signalJob(quiet, { signal: 'SIGKILL' })
  })
})

describe('a listener', () => {
  test('tells of connections to a port, which are taken one by one', async () => {
    const listener = await client.listen({ port: 0 })
    const { port = 0 } = listener.place
    const visitor = connect(port, '127.0.0.1')
    visitor.end('hello')
    for await (const { id, host } of listener) {
      expect(host).toBe('127.0.0.1')
      const taken = await client.accept(id)
      const heard = (await taken.toArray()).join('')
      taken.destroy()
      expect(heard).toBe('hello')
      break
    }
    await expect(client.accept('1')).rejects.toMatchObject({ code: 'port_closed' })
    await expect
      .poll(() => run('bash', ['-c', `exec 3<>/dev/tcp/127.0.0.1/${port}`]).catch(() => 'closed'))
      .toBe('closed')
  })

  test('refuses a port that is in use', async () => {
    const listener = await client.listen({ port: 0 })
    const { port = 0 } = listener.place
    await expect(client.listen({ port })).rejects.toMatchObject({ code: 'file_conflict' })
    listener.close()
  })

  test('has a socket for one user, which goes with it', async () => {
    const listener = await client.listen({ socketOf: '65534' })
    const path = listener.place.path ?? ''
    expect(await stat(path)).toMatchObject({ uid: 65_534 })
    expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700)
    listener.close()
    await expect.poll(() => stat(path).catch((error: NodeJS.ErrnoException) => error.code)).toBe('ENOENT')
  })
})

describe('sftp of boxd itself, by stock sftp', () => {
  const sftp = async (...commands: string[]): Promise<string> => {
    const batch = join(boxd.dir, 'batch')
    await writeFile(batch, commands.join('\n'))
    const { stdout } = await run('sftp', ['-q', '-b', batch, '-D', join(boxd.dir, 'gibil-sftp')], {
      cwd: boxd.dir,
      env: { ...process.env, HOME: boxd.dir },
    })
    return stdout
  }
  beforeAll(() => symlink(join(boxd.dir, 'boxd'), join(boxd.dir, 'gibil-sftp')))

  test('carries files and directories both ways, with modes and times', async () => {
    await mkdir(join(boxd.dir, 'tree/deep'), { recursive: true })
    await writeFile(join(boxd.dir, 'tree/big'), Buffer.alloc(5_000_001, 'gibil'))
    await writeFile(join(boxd.dir, 'tree/deep/run'), 'x', { mode: 0o755 })
    await mkdir(join(boxd.dir, 'there'))
    await sftp(`put -rp tree ${boxd.dir}/there/`, `get -rp ${boxd.dir}/there/tree back`)
    const big = await readFile(join(boxd.dir, 'tree/big'))
    expect((await readFile(join(boxd.dir, 'back/big'))).equals(big)).toBe(true)
    expect((await stat(join(boxd.dir, 'back/deep/run'))).mode & 0o777).toBe(0o755)
    const times = await Promise.all(['tree', 'back'].map((dir) => stat(join(boxd.dir, dir, 'big'))))
    expect(Math.trunc((times[0]?.mtimeMs ?? 0) / 1000)).toBe(Math.trunc((times[1]?.mtimeMs ?? 1) / 1000))
  })

  test('does the other verbs, and goes on with a file that is there in part', async () => {
    await writeFile(join(boxd.dir, 'part'), 'whole file')
    await mkdir(join(boxd.dir, 'v'))
    await writeFile(join(boxd.dir, 'v/part'), 'whole')
    const listed = await sftp(
      `cd ${boxd.dir}/v`,
      'reput part',
      'mkdir d',
      'rename part d/moved',
      'ln -s d/moved link',
      'ln d/moved hard',
      'chmod 600 hard',
      'df',
      'ls -la',
      'rm link',
      '-rm nothing',
      'pwd',
    )
    expect(listed).toMatch(/^-rw------- +2 /m)
    expect(listed).toMatch(/^lrwxrwxrwx .* link/m)
    expect(listed).toContain(`working directory: ${boxd.dir}/v`)
    expect(await readFile(join(boxd.dir, 'v/d/moved'), 'utf8')).toBe('whole file')
  })

  test('says what failed', async () => {
    await expect(sftp('rm /nowhere/at/all')).rejects.toMatchObject({ stderr: expect.stringContaining('No such file') })
    await expect(sftp(`rmdir ${boxd.dir}`)).rejects.toMatchObject({ stderr: expect.stringContaining('Failure') })
  })
})
