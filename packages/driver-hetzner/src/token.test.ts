import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { findToken, requireToken } from './token.ts'

const directory = mkdtempSync(join(tmpdir(), 'gibil-token-'))
const config = join(directory, 'cli.toml')
afterAll(() => rmSync(directory, { recursive: true }))

const text = `active_context = "work"
[[contexts]]
  name = "home"
  token = "token-of-home"
[[contexts]]
  name = "work"
  token = "token-of-work"
`

test('the variable comes before the configuration of hcloud', () => {
  writeFileSync(config, text)
  expect(findToken({ HCLOUD_TOKEN: ' mine\n', HCLOUD_CONFIG: config })).toBe('mine')
  expect(findToken({ HCLOUD_CONFIG: config })).toBe('token-of-work')
  expect(findToken({ HCLOUD_CONFIG: config, HCLOUD_CONTEXT: 'home' })).toBe('token-of-home')
  expect(findToken({ HCLOUD_CONFIG: config, HCLOUD_CONTEXT: 'neither' })).toBeUndefined()
})

test('where there is none it is said what to do', () => {
  expect(findToken({ HOME: directory })).toBeUndefined()
  expect(() => requireToken({ HOME: directory })).toThrow(expect.objectContaining({ code: 'cloud_unauthorized' }))
})

test('a configuration that cannot be read is not quoted', () => {
  writeFileSync(config, `${text}\n[[contexts]]\ntoken = "secret-of-mine`)
  expect(() => findToken({ HCLOUD_CONFIG: config })).toThrow(/is no configuration of hcloud/)
  expect(() => findToken({ HCLOUD_CONFIG: config })).not.toThrow(/secret-of-mine/)
})
