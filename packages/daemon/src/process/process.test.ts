import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openHome, readOrMakeToken, socketPath } from './home.ts'
import { takeInstanceLock } from './instance-lock.ts'
import { openRotatingFile } from './rotating-file.ts'
import { createSetupLog } from './setup-log.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibild-process-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

describe('the token', () => {
  test('is made once, readable by its owner alone', async () => {
    const home = await openHome(join(dir, 'home'))
    const token = await readOrMakeToken(home)
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    expect((await stat(home.tokenFile)).mode & 0o777).toBe(0o600)
    expect((await stat(home.dir)).mode & 0o777).toBe(0o700)
    expect(await readOrMakeToken(home)).toBe(token)
  })

  test('is the same for two that start at once', async () => {
    const home = await openHome(dir)
    const [one, two] = await Promise.all([readOrMakeToken(home), readOrMakeToken(home)])
    expect(one).toBe(two)
  })

  test('that is damaged is an error', async () => {
    const home = await openHome(dir)
    await writeFile(home.tokenFile, '')
    await expect(readOrMakeToken(home)).rejects.toMatchObject({ code: 'host_unfit' })
  })
})

describe('the socket path', () => {
  test('is in the home', async () => {
    const home = await openHome(dir)
    expect(await socketPath(home)).toBe(join(dir, 'gibild.sock'))
  })

  test('of a long home is a short way to it', async () => {
    const home = await openHome(join(dir, 'x'.repeat(120)))
    const path = await socketPath(home)
    try {
      expect(path.length).toBeLessThan(108)
      await writeFile(path, 'here')
      expect(await readFile(join(home.dir, 'gibild.sock'), 'utf8')).toBe('here')
      expect(await socketPath(home)).toBe(path)
    } finally {
      await rm(join(path, '..'))
    }
  })
})

test('the lock of a home is held by one at a time', () => {
  const file = join(dir, 'lock')
  const first = takeInstanceLock(file)
  expect(() => takeInstanceLock(file)).toThrow(expect.objectContaining({ code: 'wrong_state' }))
  first.release()
  takeInstanceLock(file).release()
})

test('a log file turns over at its limit and keeps one before it', async () => {
  const path = join(dir, 'log')
  const log = openRotatingFile(path, 100)
  for (let line = 1; line <= 25; line += 1) log.write(`line ${line}\n`)
  log.close()
  expect((await stat(path)).size).toBeLessThanOrEqual(100)
  const both = (await readFile(`${path}.1`, 'utf8')) + (await readFile(path, 'utf8'))
  expect(both).toMatch(/line 24\nline 25\n$/)
  expect(both.length).toBeGreaterThan(100)
})

describe('the log of set-up', () => {
  test('is read in parts that never break a character', async () => {
    const log = createSetupLog(join(dir, 'logs'))
    await Promise.all([log.append('b1', 'aé'), log.append('b1', '€z')])
    let [text, offset] = ['', 0]
    for (let part = 0; part < 20; part += 1) {
      const page = await log.read('b1', offset, 3)
      text += page.text
      offset = page.nextOffset
    }
    expect(text).toBe('aé€z')
    expect(offset).toBe(Buffer.byteLength(text))
  })

  test('is bounded, says so, and goes away', async () => {
    await mkdir(join(dir, 'logs'))
    const log = createSetupLog(join(dir, 'logs'), 1000)
    for (let line = 0; line < 100; line += 1) await log.append('b1', `${'é'.repeat(20)}\n`)
    const { text, nextOffset } = await log.read('b1', 0, 5000)
    expect(nextOffset).toBeLessThanOrEqual(1000)
    expect(text).toMatch(/^(é{20}\n)+é*\n\[the log is full/)
    await log.remove('b1')
    expect(await log.read('b1', 0, 5000)).toEqual({ text: '', nextOffset: 0 })
  })
})
