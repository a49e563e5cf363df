import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { SessionFiles } from '@gibil/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSessionFiles } from './session-files.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-sessions-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const add = async (files: SessionFiles, text: string, ms = 1): Promise<void> =>
  files.append('s', [{ offset: await files.nextOffset('s'), ms, data: Buffer.from(text) }])
async function read(files: SessionFiles, from = 0): Promise<string[]> {
  const found: string[] = []
  for await (const { offset, ms, data } of files.read('s', from)) found.push(`${offset} ${ms} ${Buffer.from(data)}`)
  return found
}

test('gives back what was written, from any offset on, also to the next daemon', async () => {
  const files = createSessionFiles(dir)
  await add(files, 'one', 10)
  await add(files, 'two', 20.5)
  expect(await read(files)).toEqual(['0 10 one', '3 20.5 two'])
  expect(await read(files, 4)).toEqual(['3 20.5 two'])
  const next = createSessionFiles(dir)
  expect(await next.nextOffset('s')).toBe(6)
  await add(next, 'three', 30)
  expect(await read(next)).toEqual(['0 10 one', '3 20.5 two', '6 30 three'])
})

test('a piece that a crash has cut off is taken away, and comes again', async () => {
  await add(createSessionFiles(dir), 'whole')
  const part = join(dir, 's', 'recording.0')
  const whole = await readFile(part)
  for (const cut of [1, 19, 22]) {
    await appendFile(part, whole.subarray(0, cut))
    const files = createSessionFiles(dir)
    expect(await files.nextOffset('s')).toBe(5)
    expect((await stat(part)).size).toBe(whole.length)
  }
  const files = createSessionFiles(dir)
  await add(files, 'again')
  expect(await read(files)).toEqual(['0 1 whole', '5 1 again'])
})

test('keeps the newest of a flood, within its bound, and finds its way in it', async () => {
  const files = createSessionFiles(dir, { recordingBytes: 2 * 1024 * 1024 })
  const piece = 'x'.repeat(10_000)
  for (let n = 0; n < 1000; n += 1) await add(files, piece, n)
  const sizes = await Promise.all(
    ['recording.0', 'recording.1'].map(async (name) => (await stat(join(dir, 's', name))).size),
  )
  expect(sizes.every((size) => size <= 1024 * 1024)).toBe(true)
  const kept = await read(files)
  expect(kept.length).toBeGreaterThan(100)
  expect(kept.at(-1)).toMatch(/^9990000 999 x/)
  for (const from of [9_999_999, 9_700_000, 9_000_000]) {
    const found = await read(files, from)
    expect(found.length).toBe(Math.min(kept.length, Math.ceil((10_000_000 - from) / 10_000)))
  }
})

test('a result is whole or not there, and bounded', async () => {
  const files = createSessionFiles(dir, { resultBytes: 10 })
  expect(await files.result('s', 'patch')).toBeUndefined()
  expect(await files.keepResult('s', 'patch', Readable.from([Buffer.from('12345')]))).toBe(5)
  const tooLong = files.keepResult('s', 'patch', Readable.from([Buffer.alloc(11)]))
  await expect(tooLong).rejects.toMatchObject({ code: 'payload_too_large' })
  const kept = await files.result('s', 'patch')
  expect(kept && (await buffer(kept)).toString()).toBe('12345')
  await files.remove('s')
  expect(await files.result('s', 'patch')).toBeUndefined()
  expect(await files.nextOffset('s')).toBe(0)
})
