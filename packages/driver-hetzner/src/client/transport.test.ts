import { GibilError } from '@gibil/contract'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { type Answer, answering, refusal } from '../testing/answers.ts'
import { fastPace } from '../testing/fast-pace.ts'
import { createTransport, type Transport } from './transport.ts'

const token = 'secret-token-of-the-project'
const schema = z.object({ fine: z.boolean() })
const fine: Answer = { status: 200, body: { fine: true } }
const gateway: Answer = { status: 502, body: '<html>Bad Gateway</html>' }

async function against(
  answers: readonly Answer[],
  use: (transport: Transport, pace: ReturnType<typeof fastPace>) => Promise<unknown>,
): Promise<{ readonly result: unknown; readonly error: GibilError | undefined; readonly requests: readonly string[] }> {
  await using server = await answering(...answers)
  const pace = fastPace()
  const transport = createTransport({ endpoint: server.url, token: () => token, pace, patienceMs: 60_000 })
  try {
    return { result: await use(transport, pace), error: undefined, requests: server.requests }
  } catch (error) {
    if (!GibilError.is(error)) throw error
    return { result: undefined, error, requests: server.requests }
  }
}

const read = (transport: Transport): Promise<unknown> => transport.call('GET', '/things', { schema })
const change = (transport: Transport): Promise<unknown> => transport.call('POST', '/things', { schema, body: { a: 1 } })

describe('a read', () => {
  test.each([
    ['a gateway without JSON', gateway],
    ['no answer', 'drop'],
    ['an error of the API', refusal(500, 'server_error')],
    ['too many requests', refusal(429, 'rate_limit_exceeded')],
    ['a conflict', refusal(409, 'conflict')],
  ] satisfies [string, Answer][])('is tried again after %s', async (_, answer) => {
    const { result, requests } = await against([answer, answer, fine], read)
    expect(result).toEqual({ fine: true })
    expect(requests).toHaveLength(3)
  })

  test('waits longer each time, and not for ever', async () => {
    const waits = await against([gateway], async (transport, pace) => {
      await expect(read(transport)).rejects.toMatchObject({ code: 'cloud_unreachable' })
      return pace.waited
    })
    expect(waits.result).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000])
  })

  test('waits no longer than until the limit is reset', async () => {
    const reset = String(Math.floor(Date.now() / 1000) + 2)
    const limit = refusal(429, 'rate_limit_exceeded', { 'ratelimit-remaining': '0', 'ratelimit-reset': reset })
    const { result } = await against([limit, limit, limit, limit, fine], async (transport, pace) => {
      await read(transport)
      return [pace.waited.reduce((sum, ms) => sum + ms, 0), transport.remaining()]
    })
    expect(result).toEqual([expect.any(Number), 0])
    const [waited] = result as [number]
    expect(waited).toBeLessThan(10_000)
  })

  test.each([
    ['unauthorized', 401, 'cloud_unauthorized'],
    ['token_readonly', 401, 'cloud_unauthorized'],
    ['resource_limit_exceeded', 403, 'cloud_limit'],
    ['resource_unavailable', 412, 'cloud_sold_out'],
    ['not_found', 404, 'cloud_failed'],
    ['a_code_of_tomorrow', 422, 'cloud_failed'],
  ] as const)('%s ends it at once', async (cloudCode, status, code) => {
    const answer = refusal(status, cloudCode, { 'x-correlation-id': 'abc' })
    const { error, requests } = await against([answer], read)
    expect(error).toMatchObject({ code, details: { cloudCode, status, correlationId: 'abc' } })
    expect(JSON.stringify(error?.toBody())).not.toContain(token)
    expect(requests).toHaveLength(1)
  })

  test('of something else than was expected fails', async () => {
    const { error } = await against([{ status: 200, body: { fine: 'yes' } }], read)
    expect(error).toMatchObject({ code: 'cloud_failed', message: expect.stringContaining('unexpected') })
  })
})

describe('a change', () => {
  test.each([
    ['a gateway', gateway],
    ['no answer', 'drop'],
    ['a timeout of theirs', refusal(504, 'timeout')],
  ] satisfies [string, Answer][])('is sent once when it ends with %s', async (_, answer) => {
    const { error, requests } = await against([answer, fine], change)
    expect(error).toMatchObject({ code: 'cloud_unreachable', details: { outcome: 'unknown' } })
    expect(requests).toEqual(['POST /things'])
  })

  test.each(['locked', 'conflict', 'rate_limit_exceeded'])('that was refused with %s is sent again', async (code) => {
    const status = { locked: 423, conflict: 409, rate_limit_exceeded: 429 }[code] ?? 500
    const { result, requests } = await against([refusal(status, code), fine], change)
    expect(result).toEqual({ fine: true })
    expect(requests).toHaveLength(2)
  })

  test('that cannot have been sent is sent again', async () => {
    const server = await answering(fine)
    await server[Symbol.asyncDispose]()
    const pace = fastPace()
    const transport = createTransport({ endpoint: server.url, token: () => token, pace, patienceMs: 20_000 })
    await expect(change(transport)).rejects.toMatchObject({
      code: 'cloud_unreachable',
      details: { outcome: 'unsent' },
    })
    expect(pace.waited.length).toBeGreaterThan(2)
  })
})

test('a cancel ends the waiting', async () => {
  const { error } = await against([gateway], (transport) =>
    transport.call('GET', '/things', { schema, signal: AbortSignal.abort() }),
  )
  expect(error).toMatchObject({ code: 'cancelled' })
})
