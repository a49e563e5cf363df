import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createConsoles, lastWords } from './console.ts'

async function withConsole(speak: (socket: Socket) => void, work: (path: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'gibil-console-'))
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    speak(socket)
  })
  try {
    await new Promise<void>((resolve) => server.listen(join(dir, 'c.sock'), resolve))
    await work(join(dir, 'c.sock'))
  } finally {
    server.close()
    await rm(dir, { recursive: true, force: true })
  }
}

test('keeps what a machine said last, also when it has ended, until it is forgotten', async () => {
  const consoles = createConsoles()
  const say = (socket: Socket): void => {
    for (let line = 0; line < 20_000; line += 1) socket.write(`line ${line}\n`)
    socket.end('the end\n')
  }
  await withConsole(say, async (path) => {
    consoles.listen('box', path)
    await consoles.drained('box')
    const text = consoles.text('box')
    expect(text.endsWith('line 19999\nthe end\n')).toBe(true)
    expect(Buffer.byteLength(text)).toBe(64 * 1024)
    consoles.forget('box')
    expect(consoles.text('box')).toBe('')
  })
})

test('a machine that prints without an end is read no faster than anyone could want', async () => {
  const consoles = createConsoles()
  let sent = 0
  const flood = (socket: Socket): void => {
    const part = Buffer.alloc(65_536, 'x')
    const more = (): void => {
      while (!socket.destroyed && socket.write(part)) sent += part.length
      socket.once('drain', more)
    }
    more()
  }
  await withConsole(flood, async (path) => {
    consoles.listen('box', path)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(sent).toBeLessThan(4 * 1024 * 1024)
    expect(consoles.text('box')).toHaveLength(64 * 1024)
    consoles.close()
  })
})

test('of a machine that is not there is empty, and no fault', async () => {
  const consoles = createConsoles()
  consoles.listen('box', '/nowhere/c.sock')
  await consoles.drained('box')
  expect(consoles.text('box')).toBe('')
  await consoles.drained('other')
})

test.each([
  ['', undefined],
  ['[  1.0] EXT4-fs error\n', undefined],
  [
    '[ 3.1] Kernel panic - not syncing: sysrq triggered crash\r\n[ 3.2] CPU: 0\n',
    'its kernel panicked: sysrq triggered crash',
  ],
  ['Kernel panic - not syncing: one\nKernel panic - not syncing: two \x1b[31m red\n', 'its kernel panicked: two'],
  ['Kernel panic - not syncing: System is deadlocked on memory\n', 'out of memory in its kernel'],
  [
    'Out of memory: Killed process 1 (init) total-vm:1\nKernel panic - not syncing: Attempted to kill init! exitcode=0x9\n',
    'out of memory in its kernel',
  ],
  [
    'Out of memory: Killed process 77 (hog)\nKernel panic - not syncing: Attempted to kill init! exitcode=0x0\n',
    'its kernel panicked: Attempted to kill init! exitcode=0x0',
  ],
])('the last words in %j are %j', (text, words) => {
  expect(lastWords(text)).toBe(words)
})
