import { expect, test } from 'vitest'
import { policyOf } from './network.ts'

test.each([
  [undefined, undefined, 'internet'],
  [{}, true, 'internet'],
  [{}, false, 'none'],
  [{ denyOut: ['0.0.0.0/0'] }, undefined, 'none'],
  [{ allowOut: [], denyOut: [], rules: {}, egressProxy: null }, undefined, 'internet'],
  [{ allowOut: ['1.1.1.1'] }, undefined, 'internet'],
] as const)('%j with internet %j is %s', (egress, internet, policy) => {
  expect(policyOf(egress && structuredClone(egress as never), internet)).toBe(policy)
})

test.each([
  [{ denyOut: ['8.8.8.8'] }, 'unsupported_by_door'],
  [{ denyOut: ['0.0.0.0/0'], allowOut: ['1.1.1.1'] }, 'unsupported_by_door'],
  [{ egressProxy: { address: 'proxy:1080' } }, 'unsupported_by_door'],
  [{ rules: { 'a.example': [] } }, 'unsupported_by_door'],
  [{ denyOut: ['a.example'] }, 'invalid_request'],
  [{ denyOut: ['1.1.1.1/33'] }, 'invalid_request'],
  [{ allowOut: ['a.example'] }, 'invalid_request'],
])('%j is refused as %s', (egress, code) => {
  expect(() => policyOf(egress, undefined)).toThrowError(expect.objectContaining({ code }))
})
