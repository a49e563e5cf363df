import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Box, Job } from '@gibil/contract'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import * as z from 'zod'
import { busyboxTar } from './support/busybox-image.ts'
import { type DaemonProcess, startDaemonProcess } from './support/daemon-process.ts'

// Peers that do not read what they asked for, or do not send what they announced. None of them may make the daemon grow
// by more than its buffers for each, and none may hold up the others. GIBIL_SHOW_MEMORY=1 shows by how much it grew.
let daemon: DaemonProcess
let box: Box
let before = 0
const open = new Set<{ destroy(): unknown }>()

/** How many do the same at once: what grew without a bound for each of them would show. */
const peers = 12
/** What all of them may add together, in MiB: about 1 MiB for each, and a heap that is not collected at once. */
const allowed = 48
const uploads = 200
/** A part that waits for the box, one that was read behind it, and what a request is, for each. */
const allowedForUploads = uploads * 0.5
const manyBytes = 10 * 2 ** 30
const mib = 2 ** 20

beforeAll(async () => {
  daemon = await startDaemonProcess()
  expect(await daemon.call('POST', '/images/import?name=busybox', await busyboxTar())).toMatchObject({ status: 201 })
  const size = { cpu: 1, memoryMib: 512, diskMib: 512 }
  const created = await daemon.call('POST', '/boxes', { name: 'work', image: 'busybox', ...size })
  expect(created.status, created.text).toBe(201)
  box = Box.parse(created.json)
  await run('dd if=/dev/zero of=/tmp/big bs=1 count=0 seek=10G')
  await daemon.call('POST', '/boxes/work/jobs', { command: 'nc -ll -p 9000 -e cat /dev/zero' })
})
afterAll(() => daemon?.[Symbol.asyncDispose]())

beforeEach(async () => {
  // A heap that has grown before would hide what grows now; what the first use of everything costs is not what is measured.
  await daemon.restart()
  for (let count = 0; count < 5; count += 1) await run('true')
  before = await daemon.memory()
})
afterEach(() => {
  for (const one of open) one.destroy()
  open.clear()
})

async function run(command: string): Promise<string> {
  const answer = await daemon.call('POST', '/boxes/work/run', { command, user: 'root' })
  expect(answer.status, answer.text).toBe(200)
  expect(answer.json).toMatchObject({ exitCode: 0 })
  return (answer.json as { stdout: string }).stdout
}

function keep<T extends { destroy(): unknown }>(one: T): T {
  open.add(one)
  return one
}

async function webSocket(path: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws+unix:${daemon.socketPath}:/v1/boxes/work/${path}`)
  socket.on('error', () => undefined)
  keep({ destroy: () => socket.terminate() })
  await once(socket, 'open')
  return socket
}

/** Gives it time to grow, and answers by how much it did, in MiB. */
async function growth(): Promise<number> {
  const seen: number[] = []
  for (let count = 0; count < 8; count += 1) {
    await sleep(150)
    seen.push(await daemon.memory())
  }
  const grown = Math.max(...seen) - before
  if (process.env['GIBIL_SHOW_MEMORY']) {
    process.stderr.write(`${expect.getState().currentTestName}: ${Math.round(grown)} MiB\n`)
  }
  return grown
}

/** It did not grow, and somebody else is served meanwhile. */
async function staysSmall(most = allowed): Promise<void> {
  expect(await growth()).toBeLessThan(most)
  expect(await run('echo served')).toBe('served\n')
}

describe('who does not read', () => {
  test('the output of a command stalls the command', async () => {
    const sockets: WebSocket[] = []
    for (let count = 0; count < peers; count += 1) {
      const socket = await webSocket('exec')
      socket.pause()
      socket.send(JSON.stringify({ argv: ['head', '-c', String(manyBytes), '/dev/zero'], label: 'flood' }))
      sockets.push(socket)
    }
    await staysSmall()
    const printed = async (): Promise<number[]> =>
      z
        .array(Job)
        .parse((await daemon.call('GET', '/boxes/work/jobs')).json)
        .filter(({ label }) => label === 'flood')
        .map(({ outputBytes }) => outputBytes)
    const then = await printed()
    await sleep(300)
    expect(await printed()).toEqual(then)
    expect(then).toHaveLength(peers)
    expect(Math.min(...then)).toBeGreaterThan(mib)
    expect(Math.max(...then)).toBeLessThan(16 * mib)
    for (const socket of sockets) socket.terminate()
    await run('kill $(pidof head); true')
  })

  test.each(['files?path=/tmp/big', 'tar?path=/tmp/big'])('what /%s sends, of 10 GiB, stalls it', async (path) => {
    const sockets: Socket[] = []
    for (let count = 0; count < peers; count += 1) sockets.push(keep(await daemon.deaf(`/boxes/work/${path}`)))
    await staysSmall()
    // It was stalled and not broken.
    let got = 0
    sockets[0]?.on('data', (data) => {
      got += data.length
    })
    sockets[0]?.resume()
    await expect.poll(() => got).toBeGreaterThan(64 * mib)
  })

  test('what a port sends stalls it', async () => {
    await expect.poll(async () => (await daemon.call('GET', '/boxes/work/ports')).text).toContain('9000')
    let got = 0
    const sockets: WebSocket[] = []
    for (let count = 0; count < peers; count += 1) {
      const socket = await webSocket('dial?port=9000')
      socket.on('message', (data: Buffer) => {
        got += data.length
      })
      socket.pause()
      sockets.push(socket)
    }
    await staysSmall()
    expect(got).toBeLessThan(peers * mib)
    sockets[0]?.resume()
    await expect.poll(() => got).toBeGreaterThan(64 * mib)
  })

  test('events, and the log of a set-up, is left behind', async () => {
    await mkdir(join(daemon.home, 'logs'), { recursive: true })
    await writeFile(join(daemon.home, 'logs', `${box.id}.log`), 'a line of the log\n'.repeat(500_000))
    for (let count = 0; count < peers; count += 1) {
      keep(await daemon.deaf('/events?after=0'))
      keep(await daemon.deaf('/boxes/work/log/follow'))
    }
    for (let count = 0; count < 200; count += 1) await daemon.call('POST', '/boxes/work/extend', { ttl: '2h' })
    await staysSmall()
  })
})

describe('who does not go on', () => {
  const beginUploads = (length: number): ClientRequest[] =>
    Array.from({ length: uploads }, (_, count) => {
      const path = `/boxes/work/files?path=/tmp/upload-${count}`
      const upload = keep(daemon.begin('PUT', path, { headers: { 'content-length': 2 ** 30 } }))
      upload.on('error', () => undefined)
      upload.write(Buffer.alloc(length))
      return upload
    })
  const parts = () => run('ls -a /tmp | grep -c gibil-tmp || true')

  test('with 200 uploads costs a part of each', async () => {
    beginUploads(128 * 1024)
    await staysSmall(allowedForUploads)
    expect(await parts()).toBe(`${uploads}\n`)
  })

  test('with 200 uploads into a box that takes nothing any more is not read either', async () => {
    const begun = beginUploads(1024)
    await expect.poll(parts).toBe(`${uploads}\n`)
    expect(await daemon.call('POST', '/boxes/work/pause')).toMatchObject({ status: 200 })
    try {
      for (const upload of begun) upload.write(Buffer.alloc(8 * mib))
      expect(await growth()).toBeLessThan(allowedForUploads)
      expect(await daemon.call('GET', '/boxes')).toMatchObject({ status: 200 })
    } finally {
      for (const upload of begun) upload.destroy()
      await daemon.call('POST', '/boxes/work/resume')
    }
  })

  test('with input that a command does not read is not read either', async () => {
    for (let count = 0; count < peers; count += 1) {
      const socket = await webSocket('exec')
      socket.send(JSON.stringify({ argv: ['sleep', '1000'], stdin: true }))
      await once(socket, 'message')
      const message = Buffer.alloc(mib / 2)
      for (let sent = 0; sent < 64; sent += 1) socket.send(message)
    }
    await staysSmall(peers * 5)
    await run('kill $(pidof sleep); true')
  })
})
