import { execFile, execFileSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFakePlane } from '../../../daemon/test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../../daemon/test/support/test-daemon.ts'
import { cli } from '../../test/support/run-cli.ts'

const run = promisify(execFile)
let daemon: TestDaemon
let bin: string

beforeAll(async () => {
  const plane = createFakePlane({})
  daemon = await startTestDaemon(plane)
  for (const name of ['web', 'worker', 'db']) await plane.create({ name })
  await plane.snapshot('web', { name: 'tidy' })
  bin = await mkdtemp(join(tmpdir(), 'gibil-completion-'))
  const main = resolve(import.meta.dirname, '../main.ts')
  await writeFile(join(bin, 'gibil'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
  await chmod(join(bin, 'gibil'), 0o755)
})
afterAll(async () => {
  await rm(bin, { recursive: true, force: true })
  await daemon[Symbol.asyncDispose]()
})

const candidates = async (...words: string[]): Promise<string[]> => {
  const { stdout } = await cli(['__complete', '--', ...words], { home: daemon.home })
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t')[0] ?? '')
}

describe('candidates', () => {
  test.each([
    [['de'], ['destroy']],
    [
      ['run', 'w'],
      ['web', 'worker'],
    ],
    [['run', 'web', '--cw'], ['--cwd']],
    [['destroy', 'web', 'd'], ['db']],
    [
      ['create', '--shape', ''],
      ['auto', 'container', 'microvm', 'vm', 'managed'],
    ],
    [
      ['choose', '--isolation', ''],
      ['shared-kernel', 'own-kernel', 'other-machine'],
    ],
    [
      ['choose', '--agent', 'c'],
      ['claude', 'codex'],
    ],
    [['create', '--image', ''], ['base']],
    [['create', '--name', ''], []],
    [['cp', 'we'], ['web:']],
    [['image', 'pr'], ['prune']],
    [['image', 'rm', ''], ['base']],
    [
      ['snapshots', ''],
      ['rm', 'web', 'worker', 'db'],
    ],
    [['snapshots', 'rm', ''], ['tidy']],
    [['restore', 'web', ''], ['tidy']],
    [
      ['fork', ''],
      ['web', 'worker', 'db', 'tidy'],
    ],
    [
      ['adopt', ''],
      ['bxaaaaaaaaaaaa', 'bxbbbbbbbbbbbb'],
    ],
    [
      ['config', 'set', ''],
      ['budget.daily', 'budget.box'],
    ],
    [['completion', 'f'], ['fish']],
    [['run', 'web', '--', 'l'], []],
    [['nonsense', ''], []],
  ])('of %j', async (words, expected) => {
    expect(await candidates(...words)).toEqual(expected)
  })

  test('of box names without a daemon are none, quickly', async () => {
    expect(await cli(['__complete', '--', 'run', ''], { home: '/nonexistent' })).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    })
  })
})

const installed = (shell: string): boolean => {
  try {
    execFileSync(shell, ['-c', 'exit 0'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('the scripts, in the shells themselves', () => {
  const env = (): NodeJS.ProcessEnv => ({
    ...process.env,
    PATH: `${bin}:${process.env['PATH']}`,
    GIBIL_HOME: daemon.home,
  })
  const script = async (shell: string): Promise<string> => {
    const path = join(bin, `completion.${shell}`)
    await writeFile(path, (await cli(['completion', shell])).stdout)
    return path
  }

  test.runIf(installed('bash'))('bash', async () => {
    const path = await script('bash')
    const drive = `source ${path}
complete -p gibil >/dev/null || exit 1
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _gibil; echo "\${COMPREPLY[*]}"; }
try gibil des; try gibil run w; try gibil create --size ''`
    const { stdout } = await run('bash', ['--norc', '-c', drive], { env: env() })
    expect(stdout).toBe('destroy\nweb worker\nsmall medium large\n')
  })

  test.runIf(installed('zsh'))('zsh', async () => {
    const path = await script('zsh')
    const drive = `autoload -Uz compinit; compinit -u -D; source ${path}
_describe() { print -l -- \${(P)2}; }
words=(gibil run w); CURRENT=3; _gibil`
    const { stdout } = await run('zsh', ['-f', '-c', drive], { env: env() })
    expect(stdout).toContain('web:running base')
    expect(stdout).toContain('worker:running base')
  })

  test.runIf(installed('fish'))('fish', async () => {
    const path = await script('fish')
    const { stdout } = await run('fish', ['--no-config', '-c', `source ${path}; complete -C 'gibil run w'`], {
      env: env(),
    })
    expect(stdout).toContain('web\trunning base')
    expect(stdout).toContain('worker')
  })
})
