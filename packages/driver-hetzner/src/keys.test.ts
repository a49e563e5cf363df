import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { deriveKey, keyMark } from './keys.ts'

const token = 'a'.repeat(64)

test('the same token and box give the same key on every machine', () => {
  // Written down once: were it ever another, boxes that are there could not be reached from other machines any more.
  expect(deriveKey(token, 'bxaaaaaaaaaaaa', 'client').publicKey).toMatchInlineSnapshot(
    `"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH+JAeF9qKWjgvebh2ThnJYNA3e3RO4E7HWs8w/egQtR"`,
  )
  expect(deriveKey(token, 'bxaaaaaaaaaaaa', 'client')).toEqual(deriveKey(token, 'bxaaaaaaaaaaaa', 'client'))
})

test('another token, box or purpose gives another', () => {
  const marks = [
    deriveKey(token, 'bxaaaaaaaaaaaa', 'client'),
    deriveKey(token, 'bxaaaaaaaaaaaa', 'host'),
    deriveKey(token, 'bxbbbbbbbbbbbb', 'client'),
    deriveKey(`${token}b`, 'bxaaaaaaaaaaaa', 'client'),
  ].map(({ publicKey }) => keyMark(publicKey))
  expect(new Set(marks).size).toBe(4)
})

test('OpenSSH reads the private key and finds the public one in it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gibil-keys-'))
  try {
    for (const id of ['bxaaaaaaaaaaaa', 'bxbbbbbbbbbbbb']) {
      const { privateKey, publicKey } = deriveKey(token, id, 'client')
      const path = join(directory, id)
      writeFileSync(path, privateKey, { mode: 0o600 })
      expect(execFileSync('ssh-keygen', ['-y', '-f', path], { encoding: 'utf8' }).trim()).toBe(publicKey)
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})
