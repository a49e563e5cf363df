import { expect, test } from 'vitest'
import { type AnsweringServer, answering } from '../testing/answers.ts'
import { fastPace } from '../testing/fast-pace.ts'
import { type Actions, createActions } from './actions.ts'
import type { ApiAction } from './schemas.ts'
import { createTransport } from './transport.ts'

const action = (id: number, status = 'running', code?: string): ApiAction => ({
  id,
  command: 'create_server',
  status,
  error: code === undefined ? null : { code, message: 'it was not to be' },
})
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

async function watching(
  pages: readonly (readonly ApiAction[])[],
  use: (actions: Actions, server: AnsweringServer) => Promise<void>,
): Promise<void> {
  await using server = await answering(...pages.map((actions) => ({ status: 200, body: { actions } })))
  const pace = fastPace()
  const transport = createTransport({ endpoint: server.url, token: () => 'x', pace, patienceMs: 1000 })
  await use(createActions(transport, pace), server)
}

test('all that wait share a look, of 25 ids at most', async () => {
  const done = range(30).map((id) => action(id, 'success'))
  await watching([done.slice(0, 25), done.slice(25)], async (actions, server) => {
    await Promise.all(range(30).map((id) => actions.wait([action(id)])))
    expect(server.requests).toHaveLength(2)
    expect(server.requests[0]?.match(/[?&]id=/g)).toHaveLength(25)
  })
})

test('one that has ended is not asked for', async () => {
  await watching([], async (actions, server) => {
    await actions.wait([action(1, 'success')])
    await expect(actions.wait([action(2, 'error', 'resource_unavailable')])).rejects.toMatchObject({
      code: 'cloud_sold_out',
    })
    expect(server.requests).toEqual([])
  })
})

test('one that fails says why', async () => {
  await watching([[action(1)], [action(1, 'error', 'action_failed')]], async (actions) => {
    await expect(actions.wait([action(1)])).rejects.toMatchObject({
      code: 'cloud_failed',
      message: expect.stringContaining('create_server: it was not to be (action_failed)'),
    })
  })
})

test('one that the cloud does not know any more fails, and the others are waited for', async () => {
  await watching([[action(2)], [action(2, 'success')]], async (actions) => {
    const [lost, other] = await Promise.allSettled([actions.wait([action(1)]), actions.wait([action(2)])])
    expect(lost).toMatchObject({ status: 'rejected', reason: { code: 'cloud_failed' } })
    expect(other.status).toBe('fulfilled')
  })
})

test('who gives up does not keep the others waiting', async () => {
  await watching([[action(1)], [action(1, 'success')]], async (actions) => {
    const leaving = new AbortController()
    const [left, stayed] = [actions.wait([action(1)], leaving.signal), actions.wait([action(1)])]
    leaving.abort()
    await expect(left).rejects.toMatchObject({ code: 'cancelled' })
    await stayed
  })
})
