import { once } from 'node:events'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type BoxdClient, connectBoxd, createBoxdClient } from '@gibil/boxd-client'
import { type BoxdSsh, type BoxdSshOptions, makeSshKey, openBoxdSsh } from '@gibil/boxd-ssh'
import { FrameType } from '@gibil/contract'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import { type Machine, startMachine } from './support/machine.ts'
import { startProxy, type TcpProxy } from './support/proxy.ts'

let machine: Machine
let proxy: TcpProxy
const opened: BoxdSsh[] = []
const uploads: string[] = []

const clock = {
  now: () => Date.now(),
  after(ms: number, callback: () => void) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

function open(changes: Partial<BoxdSshOptions> = {}): BoxdSsh {
  const box = openBoxdSsh({
    id: 'b1',
    host: '127.0.0.1',
    port: machine.port,
    username: 'agent',
    privateKey: machine.privateKey,
    hostKey: machine.hostKey,
    boxdBinary: (kind) => {
      uploads.push(kind)
      return machine.boxdBinary
    },
    clock,
    log: () => undefined,
    ...changes,
  })
  opened.push(box)
  return box
}

const say = async (box: BoxdSsh, command: string): Promise<string> => {
  const lines: string[] = []
  const code = await box.execLines(command, (line) => void lines.push(line))
  return `${code} ${lines.join('|')}`
}

const run = async (client: BoxdClient, script: string): Promise<string> => {
  const channel = await client.openCommand({ argv: ['sh', '-c', script] })
  let out = ''
  for await (const { type, payload } of channel) if (type === FrameType.stdout) out += payload
  return out
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
/** Buffers that somebody still holds; what the first collection finds is often only given back by the second. */
const heldBytes = (): number => {
  collect()
  collect()
  return process.memoryUsage().arrayBuffers
}

beforeAll(async () => {
  machine = await startMachine()
  proxy = await startProxy(machine.port)
})
afterEach(() => {
  for (const box of opened.splice(0)) box.close()
})
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]()
  await machine?.[Symbol.asyncDispose]()
})

describe('before boxd is there', () => {
  test('lines of a command come as they are printed, with its exit code', async () => {
    const box = open()
    expect(await say(box, 'echo one; echo two >&2; printf three; exit 7')).toMatch(/^7 /)
    expect((await say(box, 'echo one; echo two; printf three')).split('|')).toEqual(['0 one', 'two', 'three'])
    const stop = new AbortController()
    const endless = box.execLines('echo $$; exec sleep 1000', (line) => stop.abort(line), stop.signal)
    await expect(endless).rejects.toMatchObject({ code: 'cancelled' })
    await expect.poll(() => say(box, `kill -0 ${stop.signal.reason}`)).toMatch(/^1 .*No such process/)
  })

  test('a machine with another host key is refused, with both fingerprints', async () => {
    const box = open({ hostKey: makeSshKey('other').publicKey })
    const failure = { code: 'host_key_mismatch', details: { box: 'b1', expected: /^SHA256:/, found: /^SHA256:/ } }
    await expect(box.dial()).rejects.toMatchObject({ code: failure.code })
    const error = await box.dial().catch((thrown: unknown) => thrown as { message: string; details: object })
    expect(JSON.stringify(error)).toMatch(/expected":"SHA256:[^"]{43}","found":"SHA256:[^"]{43}"/)
    await expect(box.connected(AbortSignal.timeout(10_000))).rejects.toMatchObject({ code: failure.code })
  })

  test('a login that is refused is waited for as long as the caller likes', async () => {
    const box = open({ privateKey: makeSshKey('stranger').privateKey })
    await expect(box.connected(AbortSignal.timeout(500))).rejects.toMatchObject({ code: 'cancelled' })
    await expect(box.dial()).rejects.toMatchObject({ code: 'boxd_unreachable', message: /authentication/ })
  })
})

describe('boxd', () => {
  test('is put there and started once, for who logs in alone', async () => {
    const box = open()
    const streams = await Promise.all([box.dial(), box.dial(), box.dial()])
    for (const stream of streams) stream.destroy()
    expect(uploads).toEqual(['x86'])
    const boxd = connectBoxd((signal) => box.dial(signal))
    expect((await boxd.health()).version).toMatch(/^\d/)
    expect(await say(box, 'stat -c "%a %U %F" /run/gibil/boxd.sock')).toBe('0 600 agent socket')
    expect(await say(box, 'sudo -u nobody cat /run/gibil/boxd.sock')).toMatch(/^1 .*Permission denied/)

    const again = open()
    expect(
      await run(
        createBoxdClient((signal) => again.dial(signal)),
        'id -un; pwd',
      ),
    ).toBe('agent\n/home/agent\n')
    expect(uploads).toEqual(['x86'])
  })

  test('outlives the connection with its commands, and is started again when it was killed', async () => {
    const box = open()
    const client = createBoxdClient((signal) => box.dial(signal))
    const { pid } = await client.health()
    const job = await client.startJob({ argv: ['sleep', '1000'] })
    box.close()
    await expect(client.health()).rejects.toMatchObject({ code: 'boxd_unreachable' })

    const second = open()
    const other = createBoxdClient((signal) => second.dial(signal))
    expect((await other.health()).pid).toBe(pid)
    expect((await other.getJob(job.id)).exit).toBeNull()

    await say(second, `sudo kill -9 ${pid}`)
    await expect.poll(async () => (await other.health().catch(() => undefined))?.pid).not.toBe(pid)
    expect(await run(other, 'echo here')).toBe('here\n')
  })

  test('a command goes on while the connection is cut, and nothing of it is lost', async () => {
    const box = open({ port: proxy.port })
    const client = createBoxdClient((signal) => box.dial(signal))
    const script = 'for n in $(seq 1 300); do echo line $n; sleep 0.005; done'
    let channel = await client.openCommand({ argv: ['sh', '-c', script] })
    let id = ''
    let out = ''
    let cuts = 0
    for (let ended = false; !ended; ) {
      try {
        for await (const { type, payload } of channel) {
          if (type === FrameType.started) id = JSON.parse(payload.toString()).job.id
          if (type === FrameType.stdout) out += payload
          if (type === FrameType.exit) ended = true
          if (out.length > (cuts + 1) * 800 && cuts < 3) {
            cuts += 1
            proxy.cut()
          }
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'boxd_unreachable' })
        channel = await client.attach(id, out.length)
      }
    }
    expect(cuts).toBe(3)
    expect(out).toBe(Array.from({ length: 300 }, (_, n) => `line ${n + 1}\n`).join(''))
  })

  test('a whole call over a connection that is cut is whole or fails', async () => {
    const box = open({ port: proxy.port })
    const boxd = connectBoxd((signal) => box.dial(signal))
    const numbers = Array.from({ length: 100_000 }, (_, n) => `${n + 1}\n`).join('')
    let failed = 0
    for (let tries = 0; tries < (full ? 100 : 6); tries += 1) {
      let out = ''
      const isCut = tries % 2 === 0
      const output = (_: string, data: Uint8Array): void => {
        out += Buffer.from(data)
        if (isCut) proxy.cut()
      }
      const call = boxd.exec({ argv: ['sh', '-c', 'seq 1 100000; exit 3'] }, output)
      const [ended] = await Promise.allSettled([call])
      // All of it may have come through already when the first of it is looked at.
      if (isCut && ended.status === 'rejected') {
        expect(ended.reason).toMatchObject({ code: 'boxd_unreachable' })
        expect(numbers.startsWith(out)).toBe(true)
        failed += 1
      } else {
        expect(ended).toMatchObject({ value: { exitCode: 3 } })
        expect(out).toBe(numbers)
      }
    }
    expect(failed).toBeGreaterThan(0)
  })

  test('a network that is gone is noticed, and the connection made anew when it is back', async () => {
    await using gone = await startProxy(machine.port)
    const box = open({ port: gone.port, keepaliveMs: 100 })
    const stream = await box.dial()
    gone.freeze()
    const [error] = await once(stream, 'error')
    expect(error).toMatchObject({ code: 'boxd_unreachable' })
    await expect(box.dial()).rejects.toMatchObject({ code: 'boxd_unreachable' })
    gone.thaw()
    await box.connected(AbortSignal.timeout(20_000))
    const again = await box.dial()
    again.destroy()
  })
})

describe('streams', () => {
  test('half-close in both directions', async () => {
    const server = createServer({ allowHalfOpen: true }, async (socket) => {
      socket.end(`got ${await text(socket)}`)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    try {
      const box = open()
      const client = createBoxdClient((signal) => box.dial(signal))
      const stream = await client.dial(typeof address === 'object' && address ? address.port : 0)
      stream.end('all of it')
      expect(await text(stream)).toBe('got all of it')
    } finally {
      server.close()
    }
  })

  test('one that nobody reads stays small, also when 200 MB wait, and does not stop the others', async () => {
    const box = open()
    const client = createBoxdClient((signal) => box.dial(signal))
    await run(client, 'truncate -s 200M /tmp/large')
    const before = heldBytes()
    let most = 0
    const look = (): void => {
      most = Math.max(most, heldBytes() - before)
    }
    const download = await client.readFile('/tmp/large')
    await sleep(300)
    look()
    expect(await run(client, 'echo others')).toBe('others\n')
    let length = 0
    for await (const chunk of download.body) {
      if (Math.floor(length / 20e6) < Math.floor((length + chunk.length) / 20e6)) look()
      length += chunk.length
    }
    expect(length).toBe(200 * 1024 * 1024)
    // The window of a channel is 2 MiB.
    expect(most).toBeLessThan(16 * 1024 * 1024)
  })
})
