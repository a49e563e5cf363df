import { GibilError } from '@gibil/contract'
import type { Context, Hono } from 'hono'
import * as z from 'zod'
import { parsed, readBody } from '../control/body.ts'
import type { Env } from '../control/env.ts'
import { pageOf } from '../control/list.ts'
import { snapshotNamed } from '../control/snapshot-names.ts'
import { deleteSnapshot } from '../control/snapshots.ts'
import { imageOf } from '../control/templates.ts'
import type { DoorDeps } from '../deps.ts'
import { notDone } from '../errors.ts'
import { StartBuild } from './steps.ts'
import { buildOf } from './template.ts'
import { noTemplate } from './template-store.ts'
import { AssignTags, RemoveTags, RequestBuild, type Templates } from './templates.ts'
import { detailedTemplate, listedTemplate, requested, tagsOf } from './views.ts'

const mostLogs = 100
const count = z.coerce.number().int().min(0)
const StatusQuery = z.object({ logsOffset: count.optional(), limit: count.max(mostLogs).optional() })
const LogsQuery = z.object({ cursor: count.optional(), limit: count.max(mostLogs).optional() })
const ListQuery = z.object({ limit: count.max(mostLogs).optional(), nextToken: z.string().optional() })
const Change = z.strictObject({ public: z.boolean().nullish() })

const param = (c: Context, name: string): string => c.req.param(name) ?? ''
const query = (c: Context): Record<string, string> => Object.fromEntries(new URL(c.req.url).searchParams)

interface TemplateParts extends Pick<DoorDeps, 'imageNames'> {
  readonly templates: Promise<Templates>
}

/** Where files of COPY go: whoever has an address that is signed may, without a key. */
export function uploadRoute(app: Hono<Env>, { templates }: Pick<TemplateParts, 'templates'>): void {
  app.put('/templates/:id/files/:hash', async (c) => {
    const { uploads } = await templates
    const [id, hash] = [param(c, 'id'), param(c, 'hash')]
    uploads.check(id, hash, new URL(c.req.url).searchParams)
    await uploads.receive(id, hash, c.req.raw.body, Number(c.req.header('content-length') ?? Number.NaN))
    return c.body(null, 200, { 'Content-Length': '0' })
  })
}

/** Templates, for the key that calls. */
export function templateRoutes(app: Hono<Env>, { templates, imageNames }: TemplateParts): void {
  app.post('/v3/templates', async (c) => {
    const input = await readBody(c, RequestBuild)
    const { template, build } = await (await templates).request(c.var.owner, input)
    return c.json(requested(template, build), 202)
  })
  app.get('/templates/:id/files/:hash', async (c) => {
    const { uploads, get } = await templates
    const { id } = get(c.var.owner, param(c, 'id'))
    const hash = param(c, 'hash')
    const present = await uploads.isPresent(id, hash)
    const url = new URL(`/templates/${id}/files/${hash}?${uploads.sign(id, hash)}`, c.req.url)
    return c.json({ present, url: url.href }, 201)
  })
  app.post('/v2/templates/:id/builds/:build', async (c) => {
    const input = await readBody(c, StartBuild)
    await (await templates).start(c.var.owner, param(c, 'id'), param(c, 'build'), input)
    // SDKs take a body without a length for one that must be JSON.
    return c.body(null, 202, { 'Content-Length': '0' })
  })
  const buildAsked = async (c: Context<Env>) => {
    const all = await templates
    const template = all.get(c.var.owner, param(c, 'id'))
    const build = buildOf(template, param(c, 'build'))
    if (!build) throw new GibilError('image_not_found', `Build "${param(c, 'build').slice(0, 80)}" not found`)
    return { all, template, build }
  }
  app.get('/templates/:id/builds/:build/status', async (c) => {
    const { all, template, build } = await buildAsked(c)
    const { logsOffset = 0, limit = mostLogs } = parsed(StatusQuery, query(c))
    const entries = await all.logs(template, build.id)
    const logEntries = entries.slice(logsOffset, logsOffset + limit)
    const { reason } = build
    return c.json({
      templateID: template.id,
      buildID: build.id,
      status: build.status,
      logs: logEntries.map(({ message }) => message),
      logEntries,
      ...(reason
        ? { reason: { ...reason, logEntries: entries.filter(({ step }) => step === reason.step).slice(-20) } }
        : {}),
    })
  })
  app.get('/templates/:id/builds/:build/logs', async (c) => {
    const { all, template, build } = await buildAsked(c)
    // Their cursor is a time, in milliseconds.
    const { cursor = 0, limit = mostLogs } = parsed(LogsQuery, query(c))
    const entries = await all.logs(template, build.id)
    return c.json({ logs: entries.filter(({ timestamp }) => Date.parse(timestamp) >= cursor).slice(0, limit) })
  })

  app.post('/templates/tags', async (c) => {
    const { target, tags } = await readBody(c, AssignTags)
    return c.json(await (await templates).assignTags(c.var.owner, target, tags), 201)
  })
  app.delete('/templates/tags', async (c) => {
    const { name, tags } = await readBody(c, RemoveTags)
    await (await templates).removeTags(c.var.owner, name, tags)
    return c.body(null, 204)
  })
  app.get('/templates/:id/tags', async (c) => c.json(tagsOf((await templates).get(c.var.owner, param(c, 'id')))))

  app.on('GET', ['/templates', '/v2/templates'], async (c) => {
    const { items, next } = pageOf(
      (await templates).list(c.var.owner),
      parsed(ListQuery, query(c)),
      ({ createdAt, id }) => `${createdAt} ${id}`,
      -1,
    )
    return c.json(items.map(listedTemplate), 200, next === undefined ? {} : { 'X-Next-Token': next })
  })
  app.on('GET', ['/templates/aliases/:name', '/v2/templates/aliases/:name'], async (c) => {
    const name = param(c, 'name')
    const own = (await templates).find(c.var.owner, name)
    if (own) return c.json({ templateID: own.id, public: false })
    const isThere = (await imageNames()).includes(imageOf(name).image) || (await snapshotNamed(c.var.plane, name))
    if (!isThere) throw noTemplate(name)
    return c.json({ templateID: name, public: false })
  })
  app.get('/templates/:id', async (c) => c.json(detailedTemplate((await templates).get(c.var.owner, param(c, 'id')))))
  app.on('PATCH', ['/templates/:id', '/v2/templates/:id'], async (c) => {
    const { public: isPublic } = await readBody(c, Change)
    const { name } = (await templates).get(c.var.owner, param(c, 'id'))
    if (isPublic) throw notDone('A public template', 'A template is for the key that made it.')
    return c.json({ names: [name] })
  })
  app.on('DELETE', ['/templates/:id', '/v2/templates/:id'], async (c) => {
    const { find, remove } = await templates
    const called = param(c, 'id')
    // Snapshots are called by name and tag, and templates go as a whole.
    const isTemplate = !called.includes(':') && find(c.var.owner, called) !== undefined
    await (isTemplate ? remove(c.var.owner, called) : deleteSnapshot(c.var.plane, called))
    return c.body(null, 204)
  })
}
