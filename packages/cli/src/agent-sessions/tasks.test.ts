import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readTasks } from './tasks.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-tasks-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function tasksOf(name: string, text: string): Promise<unknown> {
  const path = join(dir, name)
  await writeFile(path, text)
  return readTasks(path)
}

test('a task a line, plain or as JSON', async () => {
  expect(await tasksOf('t.txt', '# comment\nfix it\n\n{"task": "other", "agent": "codex"}\n')).toEqual([
    { task: 'fix it' },
    { task: 'other', agent: 'codex' },
  ])
})

test('a list of YAML', async () => {
  expect(await tasksOf('t.yml', '- fix it\n- task: |\n    two\n    lines\n  repo: ../other\n')).toEqual([
    { task: 'fix it' },
    { task: 'two\nlines\n', repo: '../other' },
  ])
})

test.each([
  ['t.txt', '{"task": 1}', 'Line 1'],
  ['t.txt', 'ok\n{"task": "a", "agnt": "b"}', 'Line 2'],
  ['t.txt', '{nope', 'Line 1'],
  ['t.yml', 'task: a', 'is not a list'],
  ['t.yml', '- [', 'is not YAML'],
  ['t.txt', '# nothing\n', 'no task'],
])('%s: %j is refused', async (name, text, said) => {
  await expect(tasksOf(name, text)).rejects.toThrow(said)
})
