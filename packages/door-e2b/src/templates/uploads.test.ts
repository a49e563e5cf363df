import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ReadableStream } from 'node:stream/web'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createUploads, type Uploads } from './uploads.ts'

let dir: string
let uploads: Uploads
const hash = 'a'.repeat(64)
const other = 'b'.repeat(64)
const body = (text: string): ReadableStream => new Blob([text]).stream() as ReadableStream

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-uploads-'))
  uploads = createUploads((template) => join(dir, template), 'secret')
})
afterAll(() => rm(dir, { recursive: true }))

test('an upload is whole or not there', async () => {
  await expect(uploads.receive('t', hash, body('12345'), 6)).rejects.toThrow(/cut off/)
  await expect(uploads.receive('t', hash, body('12345'), 4)).rejects.toThrow(/longer/)
  await expect(uploads.receive('t', hash, body('1'), Number.NaN)).rejects.toThrow(/Content-Length/)
  await expect(uploads.receive('t', hash, body('1'), 2 ** 52)).rejects.toThrow(/no room/)
  expect(await uploads.isPresent('t', hash)).toBe(false)
  expect(await readdir(join(dir, 't', 'uploads'))).toEqual([])
  await uploads.receive('t', hash, body('12345'), 5)
  await uploads.receive('t', other, body(''), 0)
  expect(await readFile(uploads.pathOf('t', hash), 'utf8')).toBe('12345')
  await uploads.keep('t', new Set([hash]))
  expect(await readdir(join(dir, 't', 'uploads'))).toEqual([hash])
  expect(() => uploads.pathOf('t', '../../x')).toThrow(/64 hexadecimal/)
})

test('an address is for one archive of one template, and for a while', () => {
  const query = new URLSearchParams(uploads.sign('t', hash))
  expect(() => uploads.check('t', hash, query)).not.toThrow()
  expect(() => uploads.check('t', other, query)).toThrow(/not good/)
  expect(() => uploads.check('u', hash, query)).toThrow(/not good/)
  expect(() => uploads.check('t', hash, new URLSearchParams())).toThrow(/not good/)
  const later = new URLSearchParams({ ...Object.fromEntries(query), expires: '99999999999' })
  expect(() => uploads.check('t', hash, later)).toThrow(/not good/)
})
