import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, readIfThere } from './files.ts'
import { type HostEnv, runTool } from './tool.ts'

/**
 * A folder for the unfinished work of one operation, gone when the operation ends. Its name carries the process that made
 * it (`<pid>-<start time>-<random>`), so that another process sweeps it when that process is dead and only then.
 */
export interface Workspaces {
  use<T>(work: (folder: string) => Promise<T>): Promise<T>
  /** Removes the folders of processes that are no more, with the mounts that they left. */
  sweep(): Promise<void>
}

/** When a process started, in clock ticks since boot (field 22 of /proc/pid/stat), or undefined when there is none. */
const startOf = async (pid: number): Promise<string | undefined> =>
  (await readIfThere(`/proc/${pid}/stat`))?.replace(/^.*\) /s, '').split(' ')[19]

const unescapeMount = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Mount points at and below a folder, deepest last made first, so that they can be unmounted in this order. */
const mountsBelow = async (folder: string): Promise<string[]> =>
  (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => unescapeMount(line.split(' ')[4] ?? ''))
    .filter((target) => target === folder || target.startsWith(`${folder}/`))
    .reverse()

export const openWorkspaces = (tmp: string, env: HostEnv, mode: number): Workspaces => {
  const remove = async (folder: string): Promise<void> => {
    for (const target of await mountsBelow(folder)) {
      await runTool(['umount', '--lazy', '--no-canonicalize', target], { env })
    }
    // Never remove through a mount that would not go: what is below belongs to somebody else.
    if ((await mountsBelow(folder)).length === 0) await rm(folder, { recursive: true, force: true, maxRetries: 2 })
  }
  return {
    use: async (work) => {
      const name = `${process.pid}-${(await startOf(process.pid)) ?? '0'}-${randomBytes(8).toString('hex')}`
      const folder = join(tmp, name)
      try {
        await makeFolder(folder, mode)
        return await work(folder)
      } finally {
        await remove(folder)
      }
    },
    sweep: async () => {
      for (const name of await readdir(tmp)) {
        const [pid, start] = name.split('-')
        const owner = Number(pid)
        const alive = Number.isInteger(owner) && owner > 0 && start !== undefined && (await startOf(owner)) === start
        if (!alive) await remove(join(tmp, name))
      }
    },
  }
}
