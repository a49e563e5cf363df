import { GibilError } from '@gibil/contract'
import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { DoorDeps } from '../deps.ts'
import { errorAnswer, notDone, notPutIn } from '../errors.ts'
import type { Happenings } from '../happenings.ts'
import type { Interpreters } from '../interpreter.ts'
import type { MetricsLog } from '../metrics-log.ts'
import { templateRoutes, uploadRoute } from '../templates/routes.ts'
import type { Templates } from '../templates/templates.ts'
import { tokensOf } from '../tokens.ts'
import { detailed, listed, opened, type Sandbox } from '../view.ts'
import { volumeContent } from '../volumes/content.ts'
import { volumeRoutes } from '../volumes/routes.ts'
import { parsed, readBody } from './body.ts'
import { CreateSandbox, createSandbox } from './create.ts'
import type { Env } from './env.ts'
import { Connect, connect, kill, Pause, pause, Refresh, SetTimeout, setTimeLeft } from './life.ts'
import { ListQuery, type Page, select } from './list.ts'
import { Egress, egressOf } from './network.ts'
import { allSandboxes, findSandbox } from './sandboxes.ts'
import { ForkSandbox, forkSandbox, listSnapshots, SnapshotQuery, TakeSnapshot, takeSnapshot } from './snapshots.ts'

export interface ControlParts
  extends Pick<DoorDeps, 'control' | 'imageNames' | 'ready' | 'secret' | 'settings' | 'log' | 'boxd' | 'volumeFiles'> {
  readonly templates: Promise<Templates>
  readonly happenings: Happenings
  readonly interpreters: Interpreters
  readonly metrics: MetricsLog
}

/** The control plane of E2B: who holds a key makes, finds and ends the sandboxes of that key. */
export function createControlApp(parts: ControlParts): Hono<Env> {
  const { control, ready, secret, settings, happenings, metrics, log } = parts
  const app = new Hono<Env>()
  const answer = ({ box, terms }: Sandbox) => opened({ box, terms }, tokensOf(secret, box.id), settings.domain)
  const query = (c: Context): Record<string, string> => Object.fromEntries(new URL(c.req.url).searchParams)
  const paged = <T>(c: Context, { items, next }: Page<T>, view: (item: T) => object) =>
    c.json(items.map(view), 200, next === undefined ? {} : { 'X-Next-Token': next })
  const idOf = (c: Context): string => c.req.param('id') ?? ''
  /** Routes below `/` and `/v2/` alike. */
  const both = (path: string): string[] => [path, `/v2${path}`]

  uploadRoute(app, parts)
  app.route('/volumecontent', volumeContent(parts))
  app.use(async (c, next) => {
    const key = c.req.header('x-api-key') ?? ''
    await ready
    if (!key.startsWith('e2b_'))
      throw new GibilError('unauthorized', 'Invalid API key, please visit your own daemon: gibil token create --e2b')
    const { name } = await control().tokens.authenticate(key)
    c.set('plane', control().as(name))
    c.set('owner', name)
    await next()
  })
  app.onError((thrown, c) => {
    const error = GibilError.from(thrown)
    if (error.code === 'internal' || error.code === 'driver_failed')
      log.error({ err: error }, 'a call of the E2B door failed')
    const { status, body } = errorAnswer(error)
    return c.json(body, status as ContentfulStatusCode)
  })
  app.notFound((c) => {
    throw notDone(`${c.req.method} ${c.req.path.slice(0, 200)}`)
  })

  app.on('POST', both('/sandboxes'), async (c) => {
    const input = await readBody(c, CreateSandbox)
    const { plane, owner } = c.var
    const templates = await parts.templates
    const resolve = (template: string) => templates.resolve(owner, template)
    const where = { plane, settings, resolve, boxd: parts.boxd, signal: c.req.raw.signal }
    const made = await createSandbox(input, where)
    return c.json(answer(await parts.interpreters.handOut(made, plane)), 201)
  })
  app.get('/v2/sandboxes', async (c) => {
    const page = select(await allSandboxes(c.var.plane), parsed(ListQuery, query(c)))
    return paged(c, page, (one) => listed(one, happenings.pausedAt(one.box.id)))
  })
  app.get('/sandboxes', async (c) => {
    const asked = parsed(ListQuery, { ...query(c), state: 'running' })
    return paged(c, select(await allSandboxes(c.var.plane), asked), (one) => listed(one, undefined))
  })
  app.on('GET', both('/sandboxes/:id'), async (c) => {
    const found = await findSandbox(c.var.plane, idOf(c))
    const { id } = found.box
    return c.json(detailed(found, tokensOf(secret, id), settings.domain, happenings.pausedAt(id)))
  })
  app.on('DELETE', both('/sandboxes/:id'), async (c) => {
    await kill(c.var.plane, idOf(c))
    return c.body(null, 204)
  })
  app.on('POST', both('/sandboxes/:id/timeout'), async (c) => {
    await setTimeLeft(c.var.plane, idOf(c), (await readBody(c, SetTimeout)).timeout)
    return c.body(null, 204)
  })
  app.on('POST', both('/sandboxes/:id/refreshes'), async (c) => {
    const { duration } = await readBody(c, Refresh)
    await connect(c.var.plane, idOf(c), { timeout: duration || undefined })
    return c.body(null, 204)
  })
  app.on('POST', both('/sandboxes/:id/pause'), async (c) => {
    await pause(c.var.plane, idOf(c), await readBody(c, Pause))
    return c.body(null, 204)
  })
  app.on('POST', both('/sandboxes/:id/connect'), async (c) => {
    const { sandbox, resumed } = await connect(c.var.plane, idOf(c), await readBody(c, Connect))
    return c.json(answer(sandbox), resumed ? 201 : 200)
  })
  app.on('POST', both('/sandboxes/:id/resume'), async (c) => {
    const { sandbox, resumed } = await connect(c.var.plane, idOf(c), await readBody(c, Connect))
    if (!resumed) throw new GibilError('wrong_state', `Sandbox "${sandbox.box.id}" is already running`)
    return c.json(answer(sandbox), 201)
  })
  app.on('PUT', both('/sandboxes/:id/network'), async (c) => {
    const { box } = await findSandbox(c.var.plane, idOf(c))
    const { allow_internet_access: internet, ...egress } = await readBody(c, UpdateNetwork)
    await c.var.plane.setEgress(box.id, egressOf(egress, internet ?? undefined))
    return c.body(null, 204)
  })
  app.on('POST', both('/sandboxes/:id/snapshots'), async (c) =>
    c.json(await takeSnapshot(c.var.plane, idOf(c), await readBody(c, TakeSnapshot)), 201),
  )
  const hiddenSnapshots = async (owner: string) => {
    const { hasSnapshot } = await parts.templates
    return (id: string): boolean => hasSnapshot(owner, id)
  }
  app.on('GET', both('/snapshots'), async (c) =>
    paged(
      c,
      await listSnapshots(c.var.plane, parsed(SnapshotQuery, query(c)), await hiddenSnapshots(c.var.owner)),
      (one) => one,
    ),
  )
  app.all('/secrets/:id?', () => {
    throw notPutIn('Secret')
  })
  templateRoutes(app, parts)
  volumeRoutes(app, secret)
  app.on('POST', both('/sandboxes/:id/fork'), async (c) => {
    const forks = await forkSandbox(c.var.plane, idOf(c), await readBody(c, ForkSandbox), c.req.raw.signal)
    return c.json(
      forks.map((fork) => (GibilError.is(fork) ? { error: errorAnswer(fork).body } : { sandbox: answer(fork) })),
      201,
    )
  })
  app.on('GET', both('/sandboxes/:id/metrics'), async (c) => {
    const { box } = await findSandbox(c.var.plane, idOf(c))
    return c.json(metrics.of(box.id, query(c)))
  })
  return app
}

const UpdateNetwork = Egress.extend({ allow_internet_access: CreateSandbox.shape.allow_internet_access })
