import { mkdir, readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createKeyedLock, errnoOf, type HomeNames, volumeDisk } from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'

/** Volumes as the daemon itself sees them: mounted as long as somebody works with one. */
export interface Mounts {
  /** `root`: its root directory, to which nobody but root on this host comes. */
  use<T>(id: string, work: (root: string) => Promise<T>): Promise<T>
  /** Takes away what a daemon that was killed has left. */
  clear(): Promise<void>
}

export function createMounts(names: HomeNames, hostkit: Pick<HostKit, 'diskMount' | 'unmount'>): Mounts {
  const dir = join(names.runDir, 'volumes')
  // One for all: the directory around them comes and goes with them.
  const alone = <T>(work: () => Promise<T>): Promise<T> => lock.run('', work)
  const lock = createKeyedLock()
  const users = new Map<string, number>()

  const enter = (id: string): Promise<void> =>
    alone(async () => {
      const before = users.get(id) ?? 0
      if (before === 0) {
        await mkdir(names.runDir, { recursive: true, mode: 0o711 })
        // Everybody may write in the root of a volume, so nobody may come to it.
        await mkdir(dir, { recursive: true, mode: 0o700 })
        await hostkit.diskMount({ image: volumeDisk(names, id), target: join(dir, id) })
      }
      users.set(id, before + 1)
    })
  const leave = (id: string): Promise<void> =>
    alone(async () => {
      const left = (users.get(id) ?? 1) - 1
      if (left > 0) return void users.set(id, left)
      users.delete(id)
      await hostkit.unmount({ target: join(dir, id) })
      await ifThere(rmdir(join(dir, id)))
      if (users.size === 0) await ifThere(rmdir(dir))
    })

  return {
    async use(id, work) {
      await enter(id)
      try {
        return await work(join(dir, id))
      } finally {
        await leave(id)
      }
    },
    async clear() {
      const left = await ifThere(readdir(dir))
      if (left === undefined) return
      await hostkit.unmount({ target: dir, recursive: true })
      // As empty ones: were one still mounted, this would fail and not empty it.
      for (const name of left) await rmdir(join(dir, name))
      await ifThere(rmdir(dir))
    },
  }
}

async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
}
