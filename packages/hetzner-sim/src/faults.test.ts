import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type Sim, startSim } from './start-sim.ts'
import { ask, makeServer } from './testing/client.ts'

let sim: Sim
beforeAll(async () => {
  sim = await startSim({ actionMs: 10 })
})
afterEach(() => sim.faults.clear())
afterAll(() => sim.close())

const wanted = { server_type: 'cx23', image: 'ubuntu-24.04', location: 'fsn1' }
const names = (): string[] => [...sim.state.project().servers.values()].map(({ name }) => name)

it('is sold out of one type at one place, and says so in the list of types', async () => {
  sim.faults.add({ kind: 'sold_out', server_type: 'cx23', location: 'fsn1' })
  const { status, body } = await ask(sim, 'POST', '/servers', { ...wanted, name: 'a' })
  expect(status).toBe(412)
  expect(body).toEqual({ error: { message: 'error during placement', code: 'resource_unavailable', details: null } })
  const [type] = (await ask(sim, 'GET', '/server_types?name=cx23')).body.server_types
  const available = Object.fromEntries(
    type.locations.map(({ name, available }: { name: string; available: boolean }) => [name, available]),
  )
  expect(available).toEqual({ fsn1: false, nbg1: true, hel1: true })
  await makeServer(sim, 'elsewhere', { location: 'nbg1' })
})

it('is sold out in between, a number of times', async () => {
  sim.faults.add({ kind: 'sold_out', listed: true, times: 1 })
  const [type] = (await ask(sim, 'GET', '/server_types?name=cx23')).body.server_types
  expect(type.locations[0].available).toBe(true)
  expect((await ask(sim, 'POST', '/servers', { ...wanted, name: 'late' })).status).toBe(412)
  await makeServer(sim, 'late')
})

it('answers as it is told to: 429, 423, a server error, a page of a gateway', async () => {
  sim.faults.add({ kind: 'answer', path: '/servers*', status: 429, code: 'rate_limit_exceeded', times: 1 })
  const limited = await ask(sim, 'GET', '/servers')
  expect([limited.status, limited.body.error.code]).toEqual([429, 'rate_limit_exceeded'])
  expect(limited.headers.get('ratelimit-reset')).not.toBeNull()
  sim.faults.add({ kind: 'answer', method: 'DELETE', status: 423, code: 'locked' })
  expect((await ask(sim, 'GET', '/servers')).status).toBe(200)
  expect((await ask(sim, 'DELETE', '/servers/1')).status).toBe(423)
  sim.faults.clear()
  sim.faults.add({ kind: 'answer', status: 500, code: 'server_error', times: 1 })
  sim.faults.add({ kind: 'answer', status: 502, code: null, times: 1 })
  expect((await ask(sim, 'GET', '/servers')).body.error.code).toBe('server_error')
  const page = await ask(sim, 'GET', '/servers')
  expect([page.status, page.body]).toEqual([502, undefined])
})

it('loses an answer after all was done, or a request before', async () => {
  sim.faults.add({ kind: 'lost_answer', method: 'POST', path: '/servers', times: 1 })
  await expect(ask(sim, 'POST', '/servers', { ...wanted, name: 'lost' })).rejects.toThrow('fetch failed')
  expect(names()).toContain('lost')
  expect(sim.requests.at(-1)).toEqual({ method: 'POST', path: '/servers', status: 0 })
  sim.faults.add({ kind: 'lost_request', times: 1 })
  await expect(ask(sim, 'POST', '/servers', { ...wanted, name: 'never' })).rejects.toThrow('fetch failed')
  expect(names()).not.toContain('never')
  await makeServer(sim, 'never')
})

it('takes long for an action, or lets it fail without effect', async () => {
  sim.faults.add({ kind: 'failed_action', command: 'start_server', message: 'no room' })
  const { server, next_actions } = await makeServer(sim, 'broken')
  await sim.settled()
  const { action } = (await ask(sim, 'GET', `/actions/${next_actions[0].id}`)).body
  expect(action).toMatchObject({ status: 'error', error: { code: 'action_failed', message: 'no room' } })
  expect((await ask(sim, 'GET', `/servers/${server.id}`)).body.server).toMatchObject({ status: 'off', locked: false })
  sim.faults.clear()
  sim.faults.add({ kind: 'slow_action', command: 'delete_server', ms: 300, times: 1 })
  await ask(sim, 'DELETE', `/servers/${server.id}`)
  expect((await ask(sim, 'GET', `/servers/${server.id}`)).body.server.status).toBe('deleting')
  await sim.settled()
  expect((await ask(sim, 'GET', `/servers/${server.id}`)).status).toBe(404)
})

it('does not start a server that could not be made', async () => {
  sim.faults.add({ kind: 'failed_action', command: 'create_server', times: 1 })
  const { next_actions } = await makeServer(sim, 'unmade')
  await sim.settled()
  expect((await ask(sim, 'GET', `/actions/${next_actions[0].id}`)).body.action.status).toBe('error')
})

it('has a quota', async () => {
  sim.faults.add({ kind: 'quota', resource: 'server', max: sim.state.project().servers.size + 1 })
  await makeServer(sim, 'last')
  const { status, body } = await ask(sim, 'POST', '/servers', { ...wanted, name: 'one-more' })
  expect([status, body.error.code]).toEqual([403, 'resource_limit_exceeded'])
  expect(body.error.details).toEqual({ limits: [{ name: 'server_limit' }] })
})

it('takes rights from a token', async () => {
  const id = sim.faults.add({ kind: 'token', access: 'read' })
  expect((await ask(sim, 'GET', '/servers')).status).toBe(200)
  expect((await ask(sim, 'POST', '/servers', {})).body.error.code).toBe('token_readonly')
  expect(sim.faults.remove(id)).toBe(true)
  sim.faults.add({ kind: 'token', token: sim.token, access: 'revoked' })
  expect((await ask(sim, 'GET', '/servers')).body.error.code).toBe('unauthorized')
})

it('takes faults over HTTP too, from who has a token', async () => {
  const admin = `${new URL(sim.url).origin}/_sim`
  const headers = { authorization: `Bearer ${sim.token}` }
  const fault = { kind: 'sold_out', server_type: 'cx33' }
  const post = (body: object, withToken = true): Promise<Response> =>
    fetch(`${admin}/faults`, { method: 'POST', body: JSON.stringify(body), ...(withToken ? { headers } : {}) })
  expect((await post(fault, false)).status).toBe(401)
  expect((await post({ kind: 'earthquake' })).status).toBe(422)
  const { id } = (await (await post(fault)).json()) as { id: number }
  expect(sim.faults.list()).toEqual([{ ...fault, id, listed: false }])
  expect((await fetch(`${admin}/faults/${id}`, { method: 'DELETE', headers })).status).toBe(204)
  expect(sim.faults.list()).toEqual([])
  const bill = (await (await fetch(`${admin}/bill`, { headers })).json()) as { net: string }
  expect(Number(bill.net)).toBeGreaterThan(0)
})
