import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { findToken, requireToken } from './token.ts'
import { forgetToken, keepToken } from './token-file.ts'

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

const home = join(directory, 'home')
const nowhere = '/nonexistent'

test('the variable comes before that of the home, and that before the configuration of hcloud', async () => {
  writeFileSync(config, text)
  expect(findToken({ HCLOUD_TOKEN: ' mine\n', HCLOUD_CONFIG: config }, home)).toBe('mine')
  const path = await keepToken(home, 'kept')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(join(home, 'hetzner')).mode & 0o777).toBe(0o700)
  expect(findToken({ HCLOUD_TOKEN: 'mine', HCLOUD_CONFIG: config }, home)).toBe('mine')
  expect(findToken({ HCLOUD_CONFIG: config }, home)).toBe('kept')
  await forgetToken(home)
  expect(findToken({ HCLOUD_CONFIG: config }, home)).toBe('token-of-work')
  expect(findToken({ HCLOUD_CONFIG: config, HCLOUD_CONTEXT: 'home' }, nowhere)).toBe('token-of-home')
  expect(findToken({ HCLOUD_CONFIG: config, HCLOUD_CONTEXT: 'neither' }, nowhere)).toBeUndefined()
})

test('where there is none it is said what to do', () => {
  expect(findToken({ HOME: directory }, nowhere)).toBeUndefined()
  expect(() => requireToken({ HOME: directory }, nowhere)).toThrow(
    expect.objectContaining({ code: 'cloud_unauthorized' }),
  )
})

test('a configuration that cannot be read is not quoted', () => {
  writeFileSync(config, `${text}\n[[contexts]]\ntoken = "secret-of-mine`)
  expect(() => findToken({ HCLOUD_CONFIG: config }, nowhere)).toThrow(/is no configuration of hcloud/)
  expect(() => findToken({ HCLOUD_CONFIG: config }, nowhere)).not.toThrow(/secret-of-mine/)
})
