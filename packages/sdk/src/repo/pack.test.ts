import { execFileSync } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tarStream } from '../tree/tar-writer.ts'
import { repositoryEntries } from './pack.ts'

let dir: string
let source: string
let out: string
let home: string | undefined

const env = { GIT_AUTHOR_NAME: 't', GIT_AUTHOR_EMAIL: 't@t', GIT_COMMITTER_NAME: 't', GIT_COMMITTER_EMAIL: 't@t' }
const git = (cwd: string, ...args: string[]): string =>
  execFileSync('git', args, { cwd, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, ...env } })
const put = async (path: string, text: string): Promise<void> => {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, text)
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-pack-'))
  source = join(dir, 'source')
  out = join(dir, 'out')
  // Settings of whoever runs the tests must not decide them.
  home = process.env['HOME']
  process.env['HOME'] = dir
  await mkdir(source)
  git(source, 'init', '--quiet', '-b', 'main')
  await put(join(source, 'kept.txt'), 'one\n')
  await put(join(source, 'removed.txt'), 'x\n')
  await put(join(source, '.gitignore'), '*.log\n')
  git(source, 'add', '-A')
  git(source, 'commit', '--quiet', '-m', 'first')
})
afterEach(async () => {
  process.env['HOME'] = home
  await rm(dir, { recursive: true, force: true })
})

async function packed(path: string): Promise<string> {
  await mkdir(out, { recursive: true })
  await pipeline(tarStream(repositoryEntries(path)), createWriteStream(join(dir, 'x.tar')))
  execFileSync('tar', ['-xf', join(dir, 'x.tar'), '-C', out])
  return out
}

describe('a git work tree', () => {
  test('arrives with its history and its uncommitted work, and without what is ignored', async () => {
    await put(join(source, 'kept.txt'), 'two\n')
    await put(join(source, 'new/added.txt'), 'a\n')
    await put(join(source, 'secret.log'), 'no\n')
    await put(join(source, 'staged.txt'), 's\n')
    git(source, 'add', 'staged.txt')
    await rm(join(source, 'removed.txt'))
    const there = await packed(source)
    expect(git(there, 'status', '--porcelain')).toBe(git(source, 'status', '--porcelain'))
    expect(git(there, 'rev-parse', 'HEAD')).toBe(git(source, 'rev-parse', 'HEAD'))
    expect(git(there, 'symbolic-ref', '--short', 'HEAD').trim()).toBe('main')
    expect(await readdir(there)).not.toContain('secret.log')
    expect(git(there, 'fsck', '--strict')).toBe('')
  })

  test('carries a base, so that a patch holds only what changed afterwards; the source gets nothing of it', async () => {
    await put(join(source, 'kept.txt'), 'two\n')
    const before = git(source, 'count-objects')
    const there = await packed(source)
    expect(git(there, 'diff', 'refs/gibil/base')).toBe('')
    await put(join(there, 'kept.txt'), 'three\n')
    expect(git(there, 'diff', 'refs/gibil/base')).toContain('-two\n+three')
    expect(git(source, 'count-objects')).toBe(before)
    expect(git(source, 'for-each-ref')).not.toContain('gibil')
  })

  test('leaves every credential at home', async () => {
    const secrets = ['hunter2', 'ghp_token', 'c2VjcmV0', 'insteadtoken', 'pushpass']
    git(source, 'remote', 'add', 'origin', 'https://me:hunter2@example.com/me/project.git')
    git(source, 'remote', 'set-url', '--push', 'origin', 'https://ghp_token@example.com/me/project.git')
    git(source, 'remote', 'add', 'ssh', 'ssh://git:pushpass@example.com/x.git')
    git(source, 'config', 'http.https://example.com/.extraheader', 'AUTHORIZATION: basic c2VjcmV0')
    git(source, 'config', 'credential.helper', '!echo password=hunter2')
    git(source, 'config', 'url.https://insteadtoken@example.com/.insteadOf', 'https://example.com/')
    git(source, 'config', 'core.sshCommand', 'ssh -i /home/me/key')
    await put(join(source, '.git/hooks/post-checkout'), '#!/bin/sh\necho hunter2\n')
    await put(join(source, '.git/FETCH_HEAD'), 'abc branch of https://me:hunter2@example.com\n')
    const there = await packed(source)
    const tar = await readFile(join(dir, 'x.tar'), 'latin1')
    for (const secret of secrets) expect(tar).not.toContain(secret)
    expect(git(there, 'remote', 'get-url', 'origin').trim()).toBe('https://example.com/me/project.git')
    expect(git(there, 'remote', 'get-url', 'ssh').trim()).toBe('ssh://git@example.com/x.git')
    expect(git(there, 'config', '--list', '--local')).not.toContain('sshcommand')
  })

  test('.gibilignore keeps tracked files here, and they do not look deleted in a patch', async () => {
    await put(join(source, '.gibilignore'), 'removed.txt\n')
    const there = await packed(source)
    expect(await readdir(there)).not.toContain('removed.txt')
    git(there, 'add', '-A')
    expect(git(there, 'diff', '--cached', '--name-only', 'refs/gibil/base')).toBe('')
  })

  test('a linked work tree becomes a repository of its own', async () => {
    const linked = join(dir, 'linked')
    git(source, 'worktree', 'add', '--quiet', '-b', 'side', linked)
    await put(join(linked, 'side.txt'), 's\n')
    git(linked, 'add', '-A')
    git(linked, 'commit', '--quiet', '-m', 'side')
    const there = await packed(linked)
    await rm(source, { recursive: true })
    expect(git(there, 'log', '--format=%s').trim().split('\n')).toEqual(['side', 'first'])
    expect(git(there, 'status', '--porcelain')).toBe('')
    expect(git(there, 'fsck', '--strict')).toBe('')
  })

  test('objects that are borrowed from another repository come along', async () => {
    const shared = join(dir, 'shared')
    git(dir, 'clone', '--quiet', '--shared', source, shared)
    const there = await packed(shared)
    await rm(source, { recursive: true })
    expect(git(there, 'log', '--format=%s').trim()).toBe('first')
    expect(git(there, 'fsck', '--strict')).toBe('')
  })

  test('submodules arrive with their own history', async () => {
    const inner = join(dir, 'inner')
    await mkdir(inner)
    git(inner, 'init', '--quiet', '-b', 'main')
    await put(join(inner, 'lib.txt'), 'lib\n')
    git(inner, 'add', '-A')
    git(inner, 'commit', '--quiet', '-m', 'lib')
    git(source, '-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', inner, 'deps/lib')
    git(source, 'commit', '--quiet', '-m', 'with lib')
    await put(join(source, 'deps/lib/lib.txt'), 'changed\n')
    const there = await packed(source)
    expect(await readFile(join(there, 'deps/lib/lib.txt'), 'utf8')).toBe('changed\n')
    expect(git(join(there, 'deps/lib'), 'log', '--format=%s').trim()).toBe('lib')
    expect(git(join(there, 'deps/lib'), 'status', '--porcelain').trim()).toBe('M lib.txt')
  })

  test('one without a commit', async () => {
    const empty = join(dir, 'empty')
    await mkdir(empty)
    git(empty, 'init', '--quiet')
    await put(join(empty, 'a'), 'a')
    const there = await packed(empty)
    expect(git(there, 'status', '--porcelain').trim()).toBe('?? a')
  })
})

test('a directory that is not in git, by its ignore files', async () => {
  const plain = join(dir, 'plain')
  await put(join(plain, 'a.txt'), 'a')
  await put(join(plain, 'b.log'), 'b')
  await put(join(plain, 'c/d.txt'), 'd')
  await put(join(plain, '.gibilignore'), 'c\n')
  await put(join(plain, '.gitignore'), '*.log\n')
  expect((await readdir(await packed(plain))).sort()).toEqual(['.gibilignore', '.gitignore', 'a.txt'])
})
