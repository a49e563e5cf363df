import { Metrics, OpenPort } from '@gibil/contract'
import * as z from 'zod'
import { json, type Route, route, websocket } from '../http/route.ts'
import { DialQuery } from '../websocket/dial.ts'
import { upgradeNeeded } from '../websocket/refusal.ts'

const running = ['box_not_found', 'wrong_state', 'boxd_unreachable'] as const

export const insideRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/boxes/{box}/metrics',
    id: 'boxMetrics',
    tag: 'boxes',
    summary: 'What a box uses now',
    description: 'Does not count as activity of the box.',
    answer: json(Metrics),
    errors: running,
    handle: async ({ param, signal }, api) => api.boxd(param('box'), signal, { quiet: true }).metrics(),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/ports',
    id: 'listPorts',
    tag: 'ports',
    summary: 'TCP ports that something in the box listens on',
    answer: json(z.array(OpenPort)),
    errors: running,
    handle: async ({ param, signal }, api) => api.boxd(param('box'), signal, { use: 'port' }).ports(),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/dial',
    id: 'dialPort',
    tag: 'ports',
    summary: 'Connect to a TCP port of the box',
    description:
      'A WebSocket: bytes in binary messages, both ways; an empty message says that its side sends no more. A closed port is an ordinary error before the upgrade.',
    query: DialQuery,
    answer: websocket('The bytes of the connection.'),
    errors: [...running, 'port_closed'],
    handle: upgradeNeeded,
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/ssh',
    id: 'connectSsh',
    tag: 'boxes',
    summary: 'Connect a client of ssh to the box',
    description:
      'A WebSocket, as of `dial`: the bytes of an SSH connection to a server that asks for no key, whose user is the one in the box. `GET /ssh` has its host key.',
    answer: websocket('The bytes of the connection.'),
    errors: ['box_not_found'],
    handle: upgradeNeeded,
  }),
]
