import { expect, test } from 'vitest'
import { flawOf, type Signed, signatureOf } from './signature.ts'

const token = '0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0'
const hello: Signed = { path: 'hello.txt', operation: 'read', user: 'user' }

test('an address is signed as the SDKs do', () => {
  expect(signatureOf(hello, token)).toBe('v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E')
})

test('a signature opens one file, for one operation and user, until it expires', () => {
  const signed: Signed = { ...hello, expires: 100 }
  const signature = signatureOf(signed, token)
  expect(flawOf(signature, signed, token, 100)).toBeUndefined()
  expect(flawOf(signature, signed, token, 101)).toContain('expired')
  for (const other of [{ path: 'a' }, { operation: 'write' }, { user: 'root' }, { expires: 101 }] as const) {
    expect(flawOf(signature, { ...signed, ...other }, token, 0)).toBe('invalid signature')
  }
  expect(flawOf(signature, signed, `${token}x`, 0)).toBe('invalid signature')
})
