import { expect, test } from 'vitest'
import { type Target, targetOf } from './target.ts'

const box = (port: number): Target => ({ kind: 'sandbox', id: 'bxabc', port })
const byHeaders = { 'e2b-sandbox-id': 'bxabc', 'e2b-sandbox-port': '49983' }

test.each([
  [{ host: '3000-bxabc.e2b.localhost:7443' }, box(3000)],
  [{ ':authority': '49983-BXABC.example.com' }, box(49983)],
  [{ host: '80-bxabc-client.example.com' }, box(80)],
  [{ host: '3000-bxabc.example.com', ...byHeaders }, box(3000)],
  [{ host: '127.0.0.1:7443', ...byHeaders }, box(49983)],
  [{ host: '[::1]:7443', ...byHeaders }, box(49983)],
  [{ host: 'localhost', ...byHeaders, 'e2b-sandbox-id': 'bxabc-client' }, box(49983)],
  [{ host: 'sandbox.example.com', ...byHeaders }, box(49983)],
  [{ host: 'api.example.com', ...byHeaders }, { kind: 'api' }],
  [{ host: 'localhost:7443' }, { kind: 'api' }],
  [{}, { kind: 'api' }],
] as const)('%j', (headers, target) => {
  expect(targetOf(headers)).toEqual(target)
})

test.each([
  { host: 'localhost', 'e2b-sandbox-id': 'bxabc' },
  { host: 'localhost', 'e2b-sandbox-port': '80' },
  { host: 'localhost', 'e2b-sandbox-id': '../x', 'e2b-sandbox-port': '80' },
  { host: '0-bxabc.example.com' },
  { host: '70000-bxabc.example.com' },
])('%j is refused', (headers) => {
  expect(() => targetOf(headers)).toThrowError()
})
