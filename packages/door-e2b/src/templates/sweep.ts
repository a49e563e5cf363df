import type { DoorDeps } from '../deps.ts'
import { buildOf, type Template } from './template.ts'
import type { TemplateStore } from './template-store.ts'

/** Images of templates are called so, and no template of any other name is made of them. */
export const imagePrefix = 'e2b-templates/'
export const imageName = (template: string, build: string): string => `${imagePrefix}${template}:${build}`
/** Of the snapshot of a build. */
export const snapshotName = (build: string): string => `e2b-${build}`

/** Whether a build has, or is about to have, what it made. */
function isNeeded(templates: readonly Template[], build: string): boolean {
  const found = templates.flatMap((template) => buildOf(template, build) ?? [])
  return found.some(({ status, image }) => status === 'building' || image !== null)
}

/** Removes what builds made that a daemon was at when it ended, before it could write that down. */
export async function sweepBuilds(
  { images, imageNames, control, log }: Pick<DoorDeps, 'images' | 'imageNames' | 'control' | 'log'>,
  store: Pick<TemplateStore, 'owners' | 'all'>,
): Promise<void> {
  const all = store.owners().flatMap((owner) => store.all(owner))
  for (const name of await imageNames()) {
    if (!name.startsWith(imagePrefix) || isNeeded(all, name.split(':')[1] ?? '')) continue
    log.debug({ image: name }, 'an image that belongs to no template goes')
    await images.remove(name, { whileUsed: true })
  }
  for (const owner of store.owners()) {
    const plane = control().as(owner)
    for (const { id, name } of await plane.snapshots()) {
      const build = /^e2b-([0-9a-f-]{36})$/.exec(name)?.[1]
      if (build !== undefined && !isNeeded(store.all(owner), build)) await plane.removeSnapshot(id)
    }
  }
}
