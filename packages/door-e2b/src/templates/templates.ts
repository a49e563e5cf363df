import { randomBytes, randomUUID } from 'node:crypto'
import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { explainMissing, imageOf, isKnown } from '../control/templates.ts'
import type { DoorDeps } from '../deps.ts'
import { createBuildLogs, type LogEntry } from './build-log.ts'
import { type Base, type BuilderParts, createBuilder, forgetBuilds } from './builder.ts'
import { checkedName, checkedTag, defaultTag, readName } from './names.ts'
import { credentialsOf, type StartBuild, stepsOf } from './steps.ts'
import { imagePrefix, sweepBuilds } from './sweep.ts'
import {
  type Build,
  buildOf,
  changeBuild,
  type Gone,
  type Template,
  taggedBuild,
  trimmed,
  withTags,
} from './template.ts'
import { noTemplate, openTemplateStore } from './template-store.ts'
import { createUploads, type Uploads } from './uploads.ts'

export const RequestBuild = z.strictObject({
  name: z.string().nullish(),
  // What the name was called before.
  alias: z.string().nullish(),
  tags: z.array(z.string()).max(50).nullish(),
  cpuCount: z.number().positive().max(256).nullish(),
  memoryMB: z.int().min(16).max(16_777_216).nullish(),
  teamID: z.string().nullish(),
})
export const AssignTags = z.strictObject({ target: z.string(), tags: z.array(z.string()).min(1).max(50) })
export const RemoveTags = z.strictObject({ name: z.string(), tags: z.array(z.string()).min(1).max(50) })

/** What SDKs ask for when their user says nothing. */
const defaultSize = { cpuCount: 2, memoryMB: 1024 }
/** Whom E2B's templates are for, and what its SDKs call the image of `base`. */
const usualUser = 'user'
const baseImage = /^e2bdev\/base(:[A-Za-z0-9._-]+)?$/

/** The templates of all keys. */
export interface Templates {
  readonly uploads: Uploads
  /** Throws `image_not_found`. */
  get(owner: string, called: string): Template
  find(owner: string, called: string): Template | undefined
  list(owner: string): Template[]
  /** Whether a snapshot is part of a template, and none that somebody took. */
  hasSnapshot(owner: string, id: string): boolean
  /** What a sandbox of that name is made of; undefined: it is no template of this key. Throws `image_not_found` where it has no such build. */
  resolve(owner: string, called: string): (Build & { readonly image: string }) | undefined
  /** A build that waits for its steps. Throws `invalid_request`. */
  request(owner: string, input: z.infer<typeof RequestBuild>): Promise<{ template: Template; build: Build }>
  /** Begins to build. Throws `wrong_state` for a build that has begun, and what is wrong with its steps. */
  start(owner: string, id: string, buildID: string, input: StartBuild): Promise<void>
  /** What a build has printed so far. */
  logs(template: Template, buildID: string): Promise<readonly LogEntry[]>
  assignTags(owner: string, target: string, tags: readonly string[]): Promise<{ tags: string[]; buildID: string }>
  removeTags(owner: string, called: string, tags: readonly string[]): Promise<void>
  remove(owner: string, called: string): Promise<void>
}

/** `dir`: where they are kept, with what belongs to them. */
export async function openTemplates(dir: string, deps: DoorDeps): Promise<Templates> {
  const { secret, log } = deps
  const store = await openTemplateStore(dir, log)
  const logs = createBuildLogs(store.folderOf)
  const uploads = createUploads(store.folderOf, secret)
  const parts: BuilderParts = { ...deps, store, logs, uploads }
  const build = createBuilder(parts)
  deps.ready
    .then(() => sweepBuilds(parts, store))
    .catch((error) => log.warn({ err: error }, 'templates were not swept'))

  const get: Templates['get'] = (owner, called) => {
    const found = store.find(owner, called)
    if (found) return found
    throw noTemplate(called)
  }
  const resolve: Templates['resolve'] = (owner, called) => {
    const name = readName(called)
    const template = name && store.find(owner, called)
    if (!template) {
      // What a key built is for that key alone, by whatever name.
      if (called.startsWith(imagePrefix) || called.startsWith('sha256:')) throw noTemplate(called)
      return undefined
    }
    const found = taggedBuild(template, name.tag ?? defaultTag)
    if (found?.image) return { ...found, image: found.image }
    throw new GibilError('image_not_found', `Template "${called.slice(0, 80)}" has no build that is ready`)
  }
  const baseOf = (owner: string, input: StartBuild): Base => {
    const { fromImage, fromTemplate } = input
    const credentials = credentialsOf(input)
    if (fromTemplate) {
      const own = resolve(owner, fromTemplate)
      if (own) return { reference: own.image, user: own.user, start: own }
      if (isKnown(fromTemplate)) return preparedBase(fromTemplate)
      throw noTemplate(fromTemplate)
    }
    if (!fromImage) throw new GibilError('invalid_request', 'Neither fromImage nor fromTemplate is given.')
    if (baseImage.test(fromImage)) return preparedBase('base')
    if (fromImage.startsWith(imagePrefix)) throw noTemplate(fromImage)
    return { reference: fromImage, credentials, user: usualUser, beginAs: { user: usualUser, prepare: true } }
  }
  const checkMade = async ({ known, reference }: Base): Promise<void> => {
    if (known === undefined || (await parts.imageNames()).includes(reference)) return
    throw explainMissing(known, new GibilError('image_not_found', `There is no image "${reference}".`))
  }
  const trim = async (id: string, change: (template: Template) => Template): Promise<Template> => {
    let gone: Gone = { made: [], builds: [] }
    const next = await store.change(id, (current) => {
      const { template, ...rest } = trimmed(change(current))
      gone = rest
      return template
    })
    await forgetBuilds(parts, next, gone)
    return next
  }

  return {
    uploads,
    get,
    find: (owner, called) => store.find(owner, called),
    list: (owner) => store.all(owner),
    hasSnapshot: (owner, id) => store.all(owner).some(({ builds }) => builds.some(({ snapshot }) => snapshot === id)),
    resolve,
    async request(owner, input) {
      const { name, tag } = checkedName(input.name ?? input.alias ?? '')
      if (isKnown(name))
        throw new GibilError('name_in_use', `Template "${name}" is one of this machine: choose another name.`)
      const given = [...(tag === undefined ? [] : [tag]), ...(input.tags ?? []).map(checkedTag)]
      const wantedTags = [...new Set(given.length === 0 ? [defaultTag] : given)]
      const now = new Date().toISOString()
      const own: Build = {
        id: randomUUID(),
        status: 'waiting',
        reason: null,
        createdAt: now,
        finishedAt: null,
        cpuCount: input.cpuCount ?? defaultSize.cpuCount,
        memoryMB: input.memoryMB ?? defaultSize.memoryMB,
        wantedTags,
        image: null,
        user: usualUser,
        workdir: null,
        startCmd: null,
        readyCmd: null,
        snapshot: null,
      }
      const before = store.find(owner, name)
      if (before) {
        const template = await store.change(before.id, (one) => ({
          ...one,
          updatedAt: now,
          builds: [...droppedWaiting(one.builds), own],
        }))
        return { template, build: own }
      }
      const id = newId()
      const template: Template = {
        version: 1,
        id,
        owner,
        name,
        createdAt: now,
        updatedAt: now,
        tags: {},
        builds: [own],
      }
      await store.put(template)
      return { template, build: own }
    },
    async start(owner, called, buildID, input) {
      const { id } = get(owner, called)
      const base = baseOf(owner, input)
      await checkMade(base)
      stepsOf(input, (hash) => uploads.pathOf(id, hash))
      for (const { type, filesHash } of input.steps ?? []) {
        if (type === 'COPY' && !(await uploads.isPresent(id, filesHash ?? '')))
          throw new GibilError('invalid_request', `The files of the hash "${filesHash}" were not uploaded.`)
      }
      const template = await store.change(id, (one) => {
        const waiting = buildOf(one, buildID)
        if (!waiting) throw new GibilError('image_not_found', `Build "${buildID.slice(0, 80)}" not found`)
        if (waiting.status !== 'waiting') throw new GibilError('wrong_state', `Build "${buildID}" has begun already`)
        return changeBuild(one, buildID, { status: 'building' })
      })
      const begun = buildOf(template, buildID)
      if (begun) build(template, begun, input, base)
    },
    logs: (template, buildID) => logs.read(template.id, buildID),
    async assignTags(owner, target, tags) {
      const { tag = defaultTag } = checkedName(target)
      const wanted = tags.map(checkedTag)
      const { id } = get(owner, target)
      const after = await trim(id, (template) => {
        const meant = taggedBuild(template, tag)
        if (!meant)
          throw new GibilError('image_not_found', `Template "${target.slice(0, 80)}" has no build that is ready`)
        return withTags(template, wanted, meant.id, new Date().toISOString())
      })
      return { tags: wanted, buildID: after.tags[tag]?.buildID ?? '' }
    },
    async removeTags(owner, called, tags) {
      const wanted = tags.map(checkedTag)
      await trim(get(owner, called).id, (template) => {
        const missing = wanted.find((tag) => !template.tags[tag])
        if (missing !== undefined)
          throw new GibilError('image_not_found', `Template "${called.slice(0, 80)}" has no tag "${missing}"`)
        const rest = Object.entries(template.tags).filter(([tag]) => !wanted.includes(tag))
        return { ...template, updatedAt: new Date().toISOString(), tags: Object.fromEntries(rest) }
      })
    },
    async remove(owner, called) {
      const template = get(owner, called)
      const { id, builds } = template
      if (builds.some(({ status }) => status === 'building'))
        throw new GibilError('wrong_state', `Template "${called.slice(0, 80)}" is being built`)
      await store.remove(id)
      await forgetBuilds(parts, template, { made: builds, builds: [] })
    },
  }
}

function preparedBase(name: string): Base {
  const { image, user = usualUser } = imageOf(name)
  return { reference: image, known: name, user, beginAs: { user, prepare: false } }
}

/** As many builds may wait for steps that never come. */
const mostWaiting = 10

function droppedWaiting(builds: readonly Build[]): Build[] {
  const waiting = builds.filter(({ status }) => status === 'waiting')
  const dropped = new Set(waiting.slice(0, Math.max(0, waiting.length - mostWaiting + 1)))
  return builds.filter((build) => !dropped.has(build))
}

/** 20 of a-z and 0-9. */
const newId = (): string =>
  Array.from(randomBytes(20), (byte) => 'abcdefghijklmnopqrstuvwxyz0123456789'[byte % 36]).join('')
