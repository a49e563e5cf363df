import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { DoorLog } from '../deps.ts'
import { readName } from './names.ts'
import { Template } from './template.ts'

/** The templates of all keys: a folder each, with `template.json`, uploads and logs of builds. In memory, since every create asks. */
export interface TemplateStore {
  /** By its id or its name. Undefined: this key has none. */
  find(owner: string, called: string): Template | undefined
  /** Keys that have any. */
  owners(): string[]
  /** Newest first. */
  all(owner: string): Template[]
  put(template: Template): Promise<void>
  /** Changes one as it is then, one change after the other. Throws `image_not_found`. */
  change(id: string, change: (template: Template) => Template): Promise<Template>
  remove(id: string): Promise<void>
  folderOf(id: string): string
}

export const noTemplate = (called: string): GibilError =>
  new GibilError('image_not_found', `Template "${called.slice(0, 80)}" not found`)

const id = /^[a-z0-9]{20}$/

/** Opens what is kept. Builds that an earlier daemon was at are over: the steps that were done are in the cache of images. */
export async function openTemplateStore(dir: string, log: DoorLog): Promise<TemplateStore> {
  const templates = new Map<string, Template>()
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work)
    last = next.catch(() => undefined)
    return next
  }
  const folderOf = (one: string): string => join(dir, one)
  const write = async (template: Template): Promise<void> => {
    const file = join(folderOf(template.id), 'template.json')
    await mkdir(folderOf(template.id), { recursive: true, mode: 0o700 })
    await writeFile(`${file}.new`, JSON.stringify(template, null, 2), { mode: 0o600 })
    await rename(`${file}.new`, file)
    templates.set(template.id, template)
  }

  await mkdir(dir, { recursive: true, mode: 0o700 })
  for (const name of await readdir(dir)) {
    try {
      const kept = Template.parse(JSON.parse(await readFile(join(dir, name, 'template.json'), 'utf8')))
      if (id.test(name) && kept.id === name) await write(interrupted(kept))
    } catch (error) {
      log.warn({ err: error, template: name }, 'what is kept of a template cannot be read')
    }
  }

  return {
    folderOf,
    find(owner, called) {
      const own = readName(called)?.name
      const byId = own === undefined ? undefined : templates.get(own)
      if (byId?.owner === owner) return byId
      return [...templates.values()].find((template) => template.owner === owner && template.name === own)
    },
    owners: () => [...new Set([...templates.values()].map(({ owner }) => owner))],
    all: (owner) =>
      [...templates.values()]
        .filter((template) => template.owner === owner)
        .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)),
    put: (template) => inTurn(() => write(template)),
    change: (one, change) =>
      inTurn(async () => {
        const template = templates.get(one)
        if (!template) throw noTemplate(one)
        const next = change(template)
        await write(next)
        return next
      }),
    remove: (one) =>
      inTurn(async () => {
        templates.delete(one)
        await rm(folderOf(one), { recursive: true, force: true })
      }),
  }
}

function interrupted(template: Template): Template {
  const reason = { message: 'The daemon ended while it was at this build. Build it again.', step: 'finalize' }
  const now = new Date().toISOString()
  const builds = template.builds.map((build) =>
    build.status === 'building' || build.status === 'waiting'
      ? { ...build, status: 'error' as const, reason, finishedAt: now }
      : build,
  )
  return { ...template, builds }
}
