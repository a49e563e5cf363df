import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { prepareRepo } from './input.ts'

let dir: string
let source: string
const saved = { ...process.env }

const git = (cwd: string, ...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd, encoding: 'utf8', stdio: 'pipe' })

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-input-'))
  source = join(dir, 'source')
  await mkdir(source)
  git(source, 'init', '--quiet', '-b', 'main')
  await writeFile(join(source, 'a.txt'), 'main\n')
  git(source, 'add', '-A')
  git(source, 'commit', '--quiet', '-m', 'first')
  git(source, 'checkout', '--quiet', '-b', 'side')
  await writeFile(join(source, 'a.txt'), 'side\n')
  git(source, 'commit', '--quiet', '-am', 'second')
  git(source, 'checkout', '--quiet', 'main')
  // Settings of whoever runs the tests must not decide them.
  process.env['HOME'] = dir
  process.env['GIT_CONFIG_NOSYSTEM'] = '1'
})
afterEach(async () => {
  process.env = { ...saved }
  await rm(dir, { recursive: true, force: true })
})

const quiet = (): void => undefined

describe('what the box clones', () => {
  test('an https address, with a token beside it', async () => {
    await using plain = await prepareRepo({ source: 'github.com/you/p', branch: 'b', token: 't' }, quiet)
    expect(plain).toMatchObject({
      input: { url: 'https://github.com/you/p', branch: 'b', token: 't' },
      upload: undefined,
    })
  })

  test('credentials in the address are handed to the daemon, which keeps them out of sight', async () => {
    await using given = await prepareRepo('https://me:pass@example.com/p', quiet)
    expect(given.input).toEqual({ url: 'https://me:pass@example.com/p' })
    await using both = await prepareRepo({ source: 'https://me:pass@example.com/p', token: 't' }, quiet)
    expect(both.input).toEqual({ url: 'https://example.com/p', token: 't' })
  })

  test('the token of the own git is used when asked for, and only then', async () => {
    const helper = join(dir, 'helper')
    await writeFile(helper, `#!/bin/sh\ncat > ${join(dir, 'asked')}\nprintf 'username=u\\npassword=from-helper\\n'\n`)
    await chmod(helper, 0o755)
    git(dir, 'config', '--global', 'credential.helper', helper)
    await using none = await prepareRepo('https://example.com/you/p', quiet)
    expect(none.input).toEqual({ url: 'https://example.com/you/p' })
    expect(existsSync(join(dir, 'asked'))).toBe(false)
    await using auto = await prepareRepo({ source: 'https://example.com/you/p', token: 'auto' }, quiet)
    expect(auto.input).toEqual({ url: 'https://example.com/you/p', token: 'from-helper' })
    expect(await readFile(join(dir, 'asked'), 'utf8')).toContain('host=example.com')
  })
})

describe('what this machine clones', () => {
  /** Stands for ssh: runs what it is told to run on the host, here. */
  async function fakeSsh(): Promise<void> {
    const script = join(dir, 'ssh')
    await writeFile(
      script,
      `#!/bin/sh\necho "$@" >> ${join(dir, 'ssh.log')}\nfor last; do :; done\nexec sh -c "$last"\n`,
    )
    await chmod(script, 0o755)
    process.env['GIT_SSH_COMMAND'] = script
  }

  test('an ssh address, by the own ssh; the copy here is removed afterwards', async () => {
    await fakeSsh()
    const said: string[] = []
    let path = ''
    {
      await using repo = await prepareRepo({ source: `git@example.com:${source}`, branch: 'side' }, (text) =>
        said.push(text),
      )
      path = repo.upload ?? ''
      expect(await readFile(join(path, 'a.txt'), 'utf8')).toBe('side\n')
      expect(repo.input).toEqual({ upload: true, source: `git@example.com:${source}`, branch: 'side' })
      expect(git(path, 'remote', 'get-url', 'origin').trim()).toBe(`git@example.com:${source}`)
    }
    expect(await readFile(join(dir, 'ssh.log'), 'utf8')).toContain('git@example.com')
    expect(said).toEqual([`cloning git@example.com:${source} with your own keys`])
    expect(existsSync(dirname(path))).toBe(false)
  })

  test('an ssh address that does not exist, and a branch that does not', async () => {
    await fakeSsh()
    await expect(prepareRepo(`git@example.com:${dir}/nothing`, quiet)).rejects.toMatchObject({ code: 'repo_not_found' })
    const missing = prepareRepo({ source: `git@example.com:${source}`, branch: 'nope' }, quiet)
    await expect(missing).rejects.toMatchObject({ code: 'repo_not_found', message: expect.stringContaining('nope') })
  })

  test('another branch of a local repository, without touching its work tree', async () => {
    await writeFile(join(source, 'a.txt'), 'uncommitted\n')
    git(source, 'remote', 'add', 'origin', 'https://example.com/you/p')
    await using repo = await prepareRepo({ source, branch: 'side' }, quiet)
    expect(await readFile(join(repo.upload ?? '', 'a.txt'), 'utf8')).toBe('side\n')
    expect(git(repo.upload ?? '', 'remote', 'get-url', 'origin').trim()).toBe('https://example.com/you/p')
    expect(await readFile(join(source, 'a.txt'), 'utf8')).toBe('uncommitted\n')
  })
})

describe('a path here', () => {
  test('is sent as it is, relative to the given directory', async () => {
    await using repo = await prepareRepo({ source: './source', cwd: dir }, quiet)
    expect(repo).toMatchObject({ input: { upload: true, source, branch: 'main' }, upload: source })
  })

  test('must be a directory', async () => {
    await expect(prepareRepo({ source: './nothing', cwd: dir }, quiet)).rejects.toMatchObject({ code: 'invalid_repo' })
    await expect(prepareRepo(join(source, 'a.txt'), quiet)).rejects.toMatchObject({ code: 'invalid_repo' })
  })
})
