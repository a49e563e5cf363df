import { expect } from 'vitest'
import type { Sim } from '../start-sim.ts'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect; a wrong guess fails them.
  readonly body: any
}

/** Asks the API with the simulator's token. */
export async function ask(sim: Sim, method: string, path: string, body?: unknown, token = sim.token): Promise<Reply> {
  const response = await fetch(sim.url + path, {
    method,
    headers: token === '' ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
}

/** Asks for a server without anything special, which is answered with 201. */
export async function makeServer(sim: Sim, name: string, more: object = {}): Promise<Reply['body']> {
  const wanted = { name, server_type: 'cx23', image: 'ubuntu-24.04', location: 'fsn1', ...more }
  const reply = await ask(sim, 'POST', '/servers', wanted)
  expect(reply.status, JSON.stringify(reply.body)).toBe(201)
  return reply.body
}
