import { expect, test } from 'vitest'
import { FileType } from '../gen/filesystem_pb.js'
import { entryOf, permissionsOf } from './entry.ts'

test.each([
  ['file', 0o644, '-rw-r--r--'],
  ['directory', 0o755, 'drwxr-xr-x'],
  ['symlink', 0o777, 'Lrwxrwxrwx'],
  ['file', 0o4755, 'urwxr-xr-x'],
  ['directory', 0o1777, 'dtrwxrwxrwx'],
] as const)('the permissions of a %s with %i are %s', (kind, mode, text) => {
  expect(permissionsOf({ kind, mode })).toBe(text)
})

const link = {
  path: '/a/link',
  name: 'link',
  kind: 'symlink',
  size: 4,
  mode: 0o777,
  user: 'user',
  group: 'user',
  modifiedAt: '2026-01-02T03:04:05.678Z',
  target: 'file',
} as const

test('a symbolic link is what it leads to', () => {
  const entry = entryOf({ ...link, resolved: { path: '/a/file', kind: 'file', mode: 0o640 } })
  expect(entry).toMatchObject({ type: FileType.FILE, mode: 0o640, symlinkTarget: '/a/file', permissions: 'Lrwxrwxrwx' })
})

test('a symbolic link to nothing is of no type', () => {
  expect(entryOf(link)).toMatchObject({ type: FileType.UNSPECIFIED, symlinkTarget: 'file' })
})
