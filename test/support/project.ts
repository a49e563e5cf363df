import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { execa } from 'execa'

/** A real git repository in a temporary folder. */
export interface Project extends AsyncDisposable {
  readonly path: string
  git(...args: string[]): Promise<string>
}

/** A small Node project whose `npm test` passes, with the given `.gibil.yml`. */
export async function makeProject(gibilYml: string, files: Readonly<Record<string, string>> = {}): Promise<Project> {
  const path = await mkdtemp(join(tmpdir(), 'gibil-project-'))
  const git = async (...args: string[]): Promise<string> => {
    const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid', '-c', 'init.defaultBranch=main']
    return (await execa('git', [...identity, ...args], { cwd: path })).stdout
  }
  const all: Readonly<Record<string, string>> = {
    'package.json': JSON.stringify({ name: 'sample', version: '1.0.0', scripts: { test: 'node --test' } }),
    'sum.test.js': [
      "const test = require('node:test')",
      "const assert = require('node:assert')",
      "test('adds', () => assert.strictEqual(1 + 1, 2))",
    ].join('\n'),
    '.gibil.yml': gibilYml,
    ...files,
  }
  for (const [name, text] of Object.entries(all)) {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), text)
  }
  await git('init', '--quiet')
  await git('add', '--all')
  await git('commit', '--quiet', '--message', 'Begin')
  return { path, git, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
