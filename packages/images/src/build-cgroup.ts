import { createHash } from 'node:crypto'
import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from './files.ts'

const base = '/sys/fs/cgroup'

/** The cgroup above all build steps of a home: derived from it, so that two homes share nothing. */
export const buildCgroup = (root: string): string =>
  `gibil-build-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`

/** Where a cgroup may be: once under cgroup v2, once for each controller under v1. */
const placesOf = async (cgroup: string): Promise<string[]> => {
  const entries = await readdir(base, { withFileTypes: true })
  return [base, ...entries.filter((entry) => entry.isDirectory()).map((entry) => join(base, entry.name))].map((path) =>
    join(path, cgroup),
  )
}

const remove = async (path: string): Promise<void> => {
  const children = await readdir(path, { withFileTypes: true }).catch(() => [])
  for (const child of children) if (child.isDirectory()) await remove(join(path, child.name))
  for (let tries = 0; ; tries += 1) {
    try {
      return await rmdir(path)
    } catch (error) {
      // Processes that were just killed are still in it for a moment; others are a step under way.
      if (errnoOf(error) !== 'EBUSY' || tries >= 50) return
      await sleep(20)
    }
  }
}

/** Removes the cgroup of an ended step; runc does so itself unless it is killed. */
export const removeCgroup = async (cgroup: string): Promise<void> => {
  for (const path of await placesOf(cgroup)) await remove(path)
  // The one above goes when no other step is in it.
  const above = cgroup.split('/')[0] ?? cgroup
  for (const path of await placesOf(above)) await rmdir(path).catch(() => undefined)
}

/** Removes what steps of a killed daemon left; those of steps under way stay, since they hold processes. */
export const sweepBuildCgroups = async (root: string): Promise<void> => {
  for (const path of await placesOf(buildCgroup(root))) {
    const children = await readdir(path, { withFileTypes: true }).catch(() => [])
    for (const child of children) if (child.isDirectory()) await rmdir(join(path, child.name)).catch(() => undefined)
    await rmdir(path).catch(() => undefined)
  }
}
