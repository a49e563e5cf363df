import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { deadManHook, deadManScript, moveDeadline } from './dead-man.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gibil-dead-man-'))
  writeFileSync(join(dir, 'systemctl'), '#!/bin/sh\necho "systemctl $*"\n', { mode: 0o755 })
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** What the script does when the file holds this, with a systemctl that only tells that it was called. */
function asked(content: string): { status: number | null; out: string } {
  const file = join(dir, 'deadline')
  writeFileSync(file, content)
  const env = { PATH: `${dir}:/usr/bin:/bin` }
  const { status, stdout } = spawnSync('sh', ['-c', deadManScript(file, 600)], { env, encoding: 'utf8' })
  return { status, out: stdout }
}

test('the machine is powered off when deadline and grace are over, and not before', () => {
  const now = Math.floor(Date.now() / 1000)
  expect(asked(`${now - 700}\n`).out).toMatch(/systemctl poweroff\n$/)
  expect(asked(`${now - 500}\n`)).toEqual({ status: 0, out: '' })
  expect(asked(`${now + 86_400}\n`)).toEqual({ status: 0, out: '' })
})

test('a file that holds no time ends nothing', () => {
  expect(asked('none\n')).toEqual({ status: 0, out: '' })
  expect(asked('')).toMatchObject({ status: 1, out: expect.not.stringContaining('systemctl') })
  expect(asked('12x; poweroff\n')).toMatchObject({ status: 1, out: expect.not.stringContaining('systemctl') })
})

test('the hook says the deadline that it was made with', () => {
  expect(deadManHook(1_800_000_000, 600)).toContain('echo 1800000000 > /etc/gibil/deadline.new')
  expect(deadManHook(null, 600)).toContain('echo none > /etc/gibil/deadline.new')
  expect(moveDeadline(1_800_000_000.9)).toContain('echo 1800000000 >')
})
