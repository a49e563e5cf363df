import { chmod, lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { etcFiles, writeEtcFiles } from './etc-files.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'etc-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

const owner = process.getuid?.() ?? 0
const files = etcFiles({ id: 'abc', hostname: 'w', address: '10.64.4.2', gateway: '10.64.4.1' })

it('writes what the box is called and whom it asks', async () => {
  await writeEtcFiles(root, owner, files)
  expect(await readFile(join(root, 'etc/hostname'), 'utf8')).toBe('w\n')
  expect(await readFile(join(root, 'etc/hosts'), 'utf8')).toContain('10.64.4.2 w\n')
  expect(await readFile(join(root, 'etc/resolv.conf'), 'utf8')).toBe('nameserver 10.64.4.1\n')
  expect(await readFile(join(root, 'etc/machine-id'), 'utf8')).toMatch(/^[0-9a-f]{32}\n$/)
  const offline = etcFiles({ id: 'abc', hostname: 'w', address: null, gateway: '10.64.4.1' })
  expect(offline['resolv.conf']).not.toContain('nameserver')
})

it('replaces a link and never writes where it points', async () => {
  const outside = join(root, 'outside')
  await writeFile(outside, 'mine')
  await mkdir(join(root, 'etc'))
  await symlink(outside, join(root, 'etc/resolv.conf'))
  await symlink('/nonexistent/file', join(root, 'etc/hosts'))
  await writeEtcFiles(root, owner, files)
  expect(await readFile(outside, 'utf8')).toBe('mine')
  expect((await lstat(join(root, 'etc/resolv.conf'))).isFile()).toBe(true)
  expect((await lstat(join(root, 'etc/hosts'))).isFile()).toBe(true)
})

it('leaves a box alone whose /etc is a link, or has a directory in the place of a file', async () => {
  const victim = join(root, 'victim')
  await mkdir(victim)
  await symlink(victim, join(root, 'etc'))
  await writeEtcFiles(root, owner, files)
  await expect(lstat(join(victim, 'hosts'))).rejects.toThrow('ENOENT')

  const other = join(root, 'other')
  await mkdir(join(other, 'etc/hosts'), { recursive: true })
  await chmod(join(other, 'etc'), 0o755)
  await writeEtcFiles(other, owner, files)
  expect((await lstat(join(other, 'etc/hosts'))).isDirectory()).toBe(true)
  expect(await readFile(join(other, 'etc/hostname'), 'utf8')).toBe('w\n')
})
