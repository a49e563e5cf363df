import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openMonitor } from './qmp.ts'

let dir: string
let server: Server | undefined
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-qmp-'))
})
afterEach(async () => {
  server?.close()
  server = undefined
  await rm(dir, { recursive: true, force: true })
})

/** A QEMU that does as its guest wants. */
async function hostile(speak: (socket: Socket) => void): Promise<string> {
  const path = join(dir, 'qmp.sock')
  server = createServer((socket) => {
    socket.on('error', () => undefined)
    speak(socket)
  })
  await new Promise<void>((resolve) => server?.listen(path, resolve))
  return path
}

const greeting = '{"QMP":{}}\n'
const driverFailed = expect.objectContaining({ code: 'driver_failed' })

describe('a monitor', () => {
  test('answers, also in pieces and between events', async () => {
    const path = await hostile((socket) => {
      socket.write(greeting)
      socket.on('data', () => {
        socket.write('{"event":"STOP"}\n{"ret')
        setTimeout(() => socket.write('urn":{"status":"running"}}\n'), 20)
      })
    })
    const monitor = await openMonitor(path)
    expect(await monitor.run('query-status')).toEqual({ status: 'running' })
    monitor.close()
  })

  test('that sends a line without an end is given up, and no more of it is read', async () => {
    let sent = 0
    const closed = Promise.withResolvers<void>()
    const path = await hostile((socket) => {
      socket.on('close', () => closed.resolve())
      socket.write(greeting)
      const part = Buffer.alloc(65_536, 'x')
      const flood = (): void => {
        while (!socket.destroyed && socket.write(part)) sent += part.length
        socket.once('drain', flood)
      }
      flood()
    })
    await expect(openMonitor(path)).rejects.toEqual(driverFailed)
    await closed.promise
    expect(sent).toBeLessThan(8 * 1024 * 1024)
  })

  test.each(['no json\n', '[]\n', '{"else":1}\n', '\n'])('that says %j is given up', async (line) => {
    const path = await hostile((socket) => void socket.write(greeting + line))
    await expect(openMonitor(path)).rejects.toEqual(driverFailed)
  })

  test('is given up when its caller is', async () => {
    const path = await hostile(() => undefined)
    const abort = new AbortController()
    const opened = openMonitor(path, { signal: abort.signal })
    setTimeout(() => abort.abort(), 50)
    await expect(opened).rejects.toEqual(driverFailed)
  })

  test('that only tells of events is given up after the time for an answer', async () => {
    const path = await hostile((socket) => {
      const timer = setInterval(() => socket.write('{"event":"RTC_CHANGE"}\n'), 20)
      socket.on('close', () => clearInterval(timer))
      socket.write(greeting)
    })
    await expect(openMonitor(path, { answerMs: 300 })).rejects.toEqual(driverFailed)
  })
})
