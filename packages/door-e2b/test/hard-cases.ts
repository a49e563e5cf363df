import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { CommandExitError, Sandbox } from 'e2b'
import { expect, test } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import type { TestHome } from '../../../test/support/home.ts'
import { makePublicInternet, printed } from '../../../test/support/public-internet.ts'

/** What E2B's own suite does not ask for, or cannot see. */
export interface Fixture {
  readonly home: TestHome
  readonly connection: { readonly apiKey: string; readonly apiUrl: string; readonly sandboxUrl: string }
}

const mib = 2 ** 20

export function hardCases(fixture: () => Fixture): void {
  test('reach the addresses that they may, and no other, from one moment to the next', async () => {
    await using outside = await makePublicInternet()
    const answer = "require('http').createServer((_, to) => to.end('outside')).listen(8080, () => console.log('ready'))"
    await printed(outside.start([process.execPath, '-e', answer]), 'ready')
    const curl = `curl -sS --max-time 10 http://${outside.address}:8080`
    const all = '0.0.0.0/0'
    const sandbox = await Sandbox.create({ ...fixture().connection, network: { denyOut: [outside.address] } })
    const refused = () => expect(sandbox.commands.run(curl)).rejects.toBeInstanceOf(CommandExitError)
    const reached = async () => expect((await sandbox.commands.run(curl)).stdout).toBe('outside')
    await refused()
    await sandbox.updateNetwork({ denyOut: [all], allowOut: [outside.address] })
    await reached()
    expect((await sandbox.getInfo()).network).toMatchObject({ denyOut: [all], allowOut: [outside.address] })
    await sandbox.updateNetwork({ denyOut: [all] })
    await refused()
    await sandbox.pause()
    await sandbox.connect()
    await refused()
    await sandbox.updateNetwork({})
    await reached()
    await sandbox.updateNetwork({ allowInternetAccess: false })
    await refused()
    await sandbox.kill()
  })

  test('answer nobody who has not their token', async () => {
    const { connection } = fixture()
    const sandbox = await Sandbox.create(connection)
    const ask = async (headers: Record<string, string>): Promise<number> => {
      const answer = await fetch(`${connection.sandboxUrl}/process.Process/List`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'e2b-sandbox-port': '49983', ...headers },
        body: '{}',
      })
      return answer.status
    }
    const of = { 'e2b-sandbox-id': sandbox.sandboxId }
    expect(await ask(of)).toBe(401)
    expect(await ask({ ...of, 'x-access-token': 'wrong' })).toBe(401)
    expect(await ask({ ...of, 'x-access-token': connection.apiKey })).toBe(401)
    expect((await fetch(`${connection.apiUrl}/v2/sandboxes`)).status).toBe(401)
    await sandbox.kill()
  })

  test(`keep their data over ${full ? 20 : 3} pauses, of memory or of the disk alone`, async () => {
    const sandbox = await Sandbox.create(fixture().connection)
    const cycles = full ? 20 : 3
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      await sandbox.files.write(`data/${cycle}`, randomBytes(100_000).toString('hex'))
      await sandbox.commands.run(`sha256sum data/${cycle} >>sums`)
      expect(await sandbox.pause({ keepMemory: cycle % 3 !== 2 })).toBe(true)
      await sandbox.connect()
      const { stdout } = await sandbox.commands.run('sha256sum --check --quiet sums && wc -l <sums')
      expect(stdout).toBe(`${cycle + 1}\n`)
    }
    await sandbox.kill()
  })

  const crowd = full ? 50 : 6
  test(`are made ${crowd} at once, each one of its own`, async () => {
    const { connection } = fixture()
    const said = await Promise.all(
      Array.from({ length: crowd }, async (_, index) => {
        const one = await Sandbox.create({ ...connection, envs: { INDEX: String(index) } })
        const { stdout } = await one.commands.run('echo $INDEX; hostname')
        await one.kill()
        return stdout
      }),
    )
    expect(said.map((text) => Number(text.split('\n')[0]))).toEqual(said.map((_, index) => index))
    expect(new Set(said.map((text) => text.split('\n')[1])).size).toBe(crowd)
  })

  const size = (full ? 1024 : 64) * mib
  test(`take and give files of ${size / mib} MiB, which the daemon does not hold`, async () => {
    const { connection, home } = fixture()
    const pid = await daemonPid(home)
    const local = join(home.path, 'large')
    const sum = await writeRandom(local, size)
    const sandbox = await Sandbox.create(connection)
    const before = await memoryOf(pid)
    let most = before
    const look = setInterval(() => void memoryOf(pid).then((now) => (most = Math.max(most, now))), 100)
    await sandbox.files.write('large', Readable.toWeb(createReadStream(local)) as ReadableStream, {
      useOctetStream: true,
      requestTimeoutMs: 0,
    })
    expect((await sandbox.commands.run('sha256sum large', { timeoutMs: 0 })).stdout.slice(0, 64)).toBe(sum)
    const back = createHash('sha256')
    for await (const piece of await sandbox.files.read('large', { format: 'stream', requestTimeoutMs: 0 }))
      back.update(piece)
    clearInterval(look)
    expect(back.digest('hex')).toBe(sum)
    expect((most - before) / mib).toBeLessThan(256)
    await rm(local)
    await sandbox.kill()
  })

  test('go on when the daemon is killed in the middle of a run, and are found by the next', async () => {
    const { connection, home } = fixture()
    const sandbox = await Sandbox.create(connection)
    const heard = Promise.withResolvers<string>()
    const running = await sandbox.commands.run('while sleep 0.1; do date +%s%N | tee -a ticks; done', {
      background: true,
      onStdout: heard.resolve,
    })
    await heard.promise
    process.kill(await daemonPid(home), 'SIGKILL')
    await expect(running.wait()).rejects.toThrow()
    expect((await home.startDaemon()).exitCode).toBe(0)
    const again = Promise.withResolvers<string>()
    const attached = await sandbox.commands.connect(running.pid, { onStdout: again.resolve })
    expect(Number(await again.promise)).toBeGreaterThan(Number(await heard.promise))
    expect((await sandbox.files.read('ticks')).split('\n').length).toBeGreaterThan(1)
    expect(await attached.kill()).toBe(true)
    await attached.wait().catch(() => undefined)
    await sandbox.kill()
  })
}

async function daemonPid(home: TestHome): Promise<number> {
  return JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8')).pid
}

/** What is in memory of a process, in bytes. */
async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** Returns its SHA-256. */
async function writeRandom(path: string, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  await using file = await open(path, 'w')
  for (let at = 0; at < bytes; at += 4 * mib) {
    const piece = randomBytes(4 * mib)
    hash.update(piece)
    await file.write(piece)
  }
  return hash.digest('hex')
}
