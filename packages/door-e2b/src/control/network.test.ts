import { expect, test } from 'vitest'
import { egressOf } from './network.ts'

const all = '0.0.0.0/0'

test.each([
  [undefined, undefined, [], []],
  [{}, true, [], []],
  [{}, false, [], [all]],
  [{ denyOut: [all] }, undefined, [], [all]],
  [{ denyOut: [all, '::/0'] }, undefined, [], [all]],
  [{ allowOut: [], denyOut: [], rules: {}, egressProxy: null }, undefined, [], []],
  [{ allowOut: ['1.1.1.1'] }, undefined, ['1.1.1.1'], []],
  [{ allowOut: ['1.1.1.1', '10.0.0.0/8'], denyOut: [all] }, undefined, ['1.1.1.1', '10.0.0.0/8'], [all]],
  [{ denyOut: ['8.8.8.8', '2001:db8::/32'] }, undefined, [], ['8.8.8.8']],
  [{ allowOut: ['8.8.8.8'] }, false, ['8.8.8.8'], [all]],
] as const)('%j with internet %j allows %j and denies %j', (egress, internet, allow, deny) => {
  expect(egressOf(egress && structuredClone(egress as never), internet)).toEqual({ allow, deny })
})

test.each([
  [{ denyOut: [all], allowOut: ['a.example'] }, 'unsupported_by_door'],
  [{ allowOut: ['2001:db8::1'] }, 'unsupported_by_door'],
  [{ egressProxy: { address: 'proxy:1080' } }, 'unsupported_by_door'],
  [{ rules: { 'a.example': [] } }, 'unsupported_by_door'],
  [{ denyOut: ['a.example'] }, 'invalid_request'],
  [{ denyOut: ['1.1.1.1/33'] }, 'invalid_request'],
  [{ allowOut: ['a.example'] }, 'invalid_request'],
  [{ denyOut: Array.from({ length: 300 }, (_, at) => `10.0.${at >> 8}.${at & 255}`) }, 'invalid_request'],
])('%j is refused as %s', (egress, code) => {
  expect(() => egressOf(egress, undefined)).toThrowError(expect.objectContaining({ code }))
})
