import { Budget, BudgetLimits, Health, HostCheck, SshState, SweepResult, TopEntry, Version } from '@gibil/contract'
import * as z from 'zod'
import { empty, json, type Route, route, stream, written } from '../http/route.ts'
import { readTop } from './top.ts'

const tag = 'daemon'

export const systemRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/health',
    id: 'health',
    tag,
    summary: 'Whether the daemon serves',
    early: true,
    open: true,
    answer: json(Health),
    handle: async (_, { daemon }) => ({ status: daemon.status() }),
  }),
  route({
    method: 'get',
    path: '/version',
    id: 'version',
    tag,
    summary: 'What this daemon is, and which boxes it can make',
    early: true,
    tokens: true,
    answer: json(Version),
    handle: async (_, { daemon }) => daemon.version(),
  }),
  route({
    method: 'get',
    path: '/ssh',
    id: 'ssh',
    tag,
    summary: 'Where stock clients of ssh reach boxes, and by which host key',
    early: true,
    tokens: true,
    answer: json(SshState),
    handle: async (_, { daemon }) => daemon.ssh.state(),
  }),
  route({
    method: 'get',
    path: '/top',
    id: 'top',
    tag,
    summary: 'What each running box uses now',
    tokens: true,
    answer: json(z.array(TopEntry)),
    handle: async ({ signal }, api) => readTop(api, signal),
  }),
  route({
    method: 'get',
    path: '/checks',
    id: 'checks',
    tag,
    summary: 'What boxes need of this host, and what of it is there',
    early: true,
    answer: json(z.array(HostCheck)),
    handle: async (_, { hostChecks }) => hostChecks(),
  }),
  route({
    method: 'get',
    path: '/metrics',
    id: 'metrics',
    tag,
    summary: 'Metrics of the daemon for Prometheus',
    answer: stream('text/plain', 'Metrics in the text form of Prometheus'),
    handle: async ({ response }, { metrics, control }) => {
      const { contentType, text } = await metrics.render(await control.list(), control.pool())
      response.writeHead(200, { 'content-type': contentType }).end(text)
      return written
    },
  }),
  route({
    method: 'post',
    path: '/sweep',
    id: 'sweep',
    tag,
    summary: 'Remove remains of boxes that nobody knows',
    progress: true,
    answer: json(SweepResult),
    handle: async (_, { control }) => ({ removed: await control.sweep() }),
  }),
  route({
    method: 'put',
    path: '/budget',
    id: 'setBudget',
    tag,
    summary: 'Set what boxes of clouds may cost',
    description:
      'A create, an extension or a start by which a budget would be passed before the lease ends is refused with `over_budget`. Boxes that are there stay.',
    body: BudgetLimits,
    answer: json(Budget),
    handle: async ({ body }, { control }) => control.setBudget(body),
  }),
  route({
    method: 'post',
    path: '/shutdown',
    id: 'shutdown',
    tag,
    summary: 'Stop the daemon; boxes go on running',
    description: 'Answers at once; running responses have 10 s to end.',
    early: true,
    answer: empty,
    handle: async (_, { daemon }) => daemon.requestStop(),
  }),
  route({
    method: 'get',
    path: '/openapi.json',
    id: 'openapi',
    tag,
    summary: 'This API as an OpenAPI 3.1 document',
    early: true,
    open: true,
    answer: stream('application/json', 'OpenAPI document'),
    handle: async ({ response }, { daemon }) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(await daemon.document()))
      return written
    },
  }),
  route({
    method: 'get',
    path: '/docs',
    id: 'docs',
    tag,
    summary: 'This API as a page for people',
    early: true,
    open: true,
    answer: stream('text/html', 'A page that needs nothing from the internet'),
    handle: async ({ response }, { daemon }) => {
      const { docsPage } = await import('../documents/page.ts')
      response
        .writeHead(200, {
          'content-type': 'text/html; charset=utf-8',
          'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
        })
        .end(docsPage(await daemon.document()))
      return written
    },
  }),
]
