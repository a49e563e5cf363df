import type { BoxdClient } from '@gibil/boxd-client'
import { type Box, GibilError } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'
import { expect, test } from 'vitest'
import { checkInterpreterAccess, createInterpreters } from './interpreter.ts'
import { tokensOf } from './tokens.ts'
import type { Sandbox } from './view.ts'

const sandbox = { box: { id: 'b1', image: 'code-interpreter' } as Box, terms: { template: 't' } } as Sandbox

/** Interpreters of a box in which `start` ends with a status, or is not there. */
function interpreters(status: () => number | undefined) {
  const seen = { starts: 0, halts: [] as (() => void)[], gone: [] as string[] }
  const boxd = {
    async startJob() {
      seen.starts++
      if (status() === undefined) throw new GibilError('command_not_found', 'no such file')
      return { id: 'j' }
    },
    async jobOutput() {
      return { chunks: [{ text: 'what it said' }], exit: { exitCode: status() }, nextOffset: 12 }
    },
    async forgetJob() {},
  } as unknown as BoxdClient
  const plane = { destroy: async (id: string) => void seen.gone.push(id) } as unknown as BoxPlane
  const onHalt = (_: string, halt: () => void) => {
    seen.halts.push(halt)
    return () => undefined
  }
  return { seen, plane, ...createInterpreters(() => boxd, onHalt) }
}

test('it is started once, and again after its sandbox has stopped or it was not there', async () => {
  const { seen, ensure, forget } = interpreters(() => 0)
  expect(await Promise.all([ensure(sandbox), ensure(sandbox)])).toEqual([true, true])
  expect(seen.starts).toBe(1)
  seen.halts.at(-1)?.()
  await ensure(sandbox)
  forget('b1')
  await ensure(sandbox)
  expect(seen.starts).toBe(3)
})

test('a sandbox without one has none, and that is no error', async () => {
  const { seen, ensure, handOut, plane } = interpreters(() => undefined)
  expect([await ensure(sandbox), await ensure(sandbox), seen.starts]).toEqual([false, false, 1])
  expect(await handOut({ ...sandbox, box: { ...sandbox.box, image: 'e2b' } }, plane)).toMatchObject({
    box: { id: 'b1' },
  })
})

test('a sandbox in which it does not come up is not kept', async () => {
  let status = 1
  const { seen, ensure, handOut, plane } = interpreters(() => status)
  const failure = handOut(sandbox, plane)
  await expect(failure).rejects.toMatchObject({
    code: 'service_failed',
    message: expect.stringContaining('what it said'),
  })
  expect(seen.gone).toEqual(['b1'])
  status = 0
  expect(await ensure(sandbox)).toBe(true)
})

test('code is for who has the access token of the sandbox', () => {
  const check = (url: string, headers = {}, method = 'POST'): void =>
    checkInterpreterAccess({ url, headers, method } as never, 'b1', 'secret')
  const right = { 'x-access-token': tokensOf('secret', 'b1').envd }
  for (const url of ['/execute', '//execute', '/execute?source=x', '/execute/']) {
    expect(() => check(url)).toThrow(/X-Access-Token/)
    expect(() => check(url, { 'x-access-token': 'wrong' })).toThrow(/X-Access-Token/)
    check(url, right)
    check(url, {}, 'OPTIONS')
  }
  for (const url of ['/contexts', '/health']) check(url)
})
