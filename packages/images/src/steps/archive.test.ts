import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sourcesIn } from './archive.ts'

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gibil-upload-'))
  await mkdir(join(root, 'app', 'deep'), { recursive: true })
  for (const path of ['app/a.txt', 'app/b.md', 'app/deep/c.txt', 'top.txt']) await writeFile(join(root, path), path)
  await symlink('/etc', join(root, 'out'))
  await symlink('nowhere', join(root, 'app', 'dangling'))
})
afterAll(() => rm(root, { recursive: true }))

test.each([
  ['app', ['app']],
  ['./app/', ['app']],
  ['app/*', ['a.txt', 'b.md', 'dangling', 'deep']],
  ['**/*.txt', ['a.txt', 'c.txt', 'top.txt']],
  ['app/a.txt', ['a.txt']],
  ['.', ['']],
  // A link is what it is: what it leads to is no part of the upload.
  ['out', ['out']],
  ['out/*', []],
  ['out/passwd', []],
  ['../*', []],
  ['nothing', []],
])('%s is %j', async (pattern, names) => {
  const found = await sourcesIn({ root, ignores: () => false }, pattern)
  expect(found.map(({ name }) => name)).toEqual(names)
  for (const { path } of found) expect(path.startsWith(root)).toBe(true)
})
