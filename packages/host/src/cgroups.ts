import { rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError } from '@gibil/contract'
import { directoriesIn, errnoOf, readNow } from './files.ts'

/** Where the cgroup file systems of this host are. */
export interface CgroupLayout {
  readonly version: 1 | 2
  /** Every mount that a runtime may make a box's cgroup in. */
  readonly mounts: readonly string[]
  /** Mount by controller; the one mount for each on version 2. */
  readonly byController: ReadonlyMap<string, string>
}

const controllers = ['cpu', 'cpuacct', 'cpuset', 'devices', 'freezer', 'memory', 'pids']

/** Reads the layout from the text of /proc/self/mountinfo (proc_pid_mountinfo(5)). Undefined where no cgroups are mounted. */
export function parseCgroupLayout(mountinfo: string): CgroupLayout | undefined {
  const mounts: string[] = []
  const byController = new Map<string, string>()
  let unified: string | undefined
  for (const line of mountinfo.split('\n')) {
    const [left, right] = line.split(' - ')
    const target = left?.split(' ')[4]
    const [type, , options] = right?.split(' ') ?? []
    if (target === undefined || !target.startsWith('/sys/fs/cgroup') || (type !== 'cgroup' && type !== 'cgroup2'))
      continue
    mounts.push(target)
    if (type === 'cgroup2') unified = target
    for (const option of options?.split(',') ?? []) {
      if (type === 'cgroup' && controllers.includes(option)) byController.set(option, target)
    }
  }
  if (byController.size > 0) return { version: 1, mounts, byController }
  if (unified === undefined) return undefined
  const root = unified
  return { version: 2, mounts, byController: new Map(controllers.map((name) => [name, root])) }
}

/** The cgroups of one home's boxes: `/<prefix>/<id>` in every mount. */
export interface Cgroups {
  /** Ids of boxes that have a cgroup anywhere. */
  ids(): Promise<string[]>
  /** Whether this process is in the box's cgroup; false when it is gone. */
  holds(id: string, pid: number): Promise<boolean>
  /** Kills everything in the box, frozen or not, and waits until it is gone. */
  kill(id: string): Promise<void>
  /** Removes the box's cgroups, which must be empty. */
  remove(id: string): Promise<void>
  /** Removes what all boxes of the home share; fine while boxes are left. */
  removeParent(): Promise<void>
  isFrozen(id: string): Promise<boolean>
  freeze(id: string): Promise<void>
  thaw(id: string): Promise<void>
  /** How many processes the kernel has killed because the box was at its memory limit. */
  oomKills(id: string): Promise<number>
  /** Processor time that the box has taken, in milliseconds; undefined when its cgroup does not say. */
  cpuMs(id: string): Promise<number | undefined>
}

const settleMs = 10_000

export function createCgroups(layout: CgroupLayout, prefix: string): Cgroups {
  const pathOf = (controller: string, id: string): string =>
    join(layout.byController.get(controller) ?? layout.mounts[0] ?? '/sys/fs/cgroup', prefix, id)
  const everywhere = (id: string): string[] => layout.mounts.map((mount) => join(mount, prefix, id))
  const freezer = (id: string): string => pathOf('freezer', id)

  /** The cgroup that is asked who is in a box: a process that runs is in that of every controller. */
  const roll = (id: string): string => pathOf('pids', id)

  const isFrozen = async (id: string): Promise<boolean> => {
    if (layout.version === 1) return readNow(join(freezer(id), 'freezer.state'))?.trim() === 'FROZEN'
    return /^frozen 1$/m.test(readNow(join(freezer(id), 'cgroup.events')) ?? '')
  }

  const setFrozen = async (id: string, frozen: boolean): Promise<void> => {
    if (layout.version === 1) await writeFile(join(freezer(id), 'freezer.state'), frozen ? 'FROZEN' : 'THAWED')
    else await writeFile(join(freezer(id), 'cgroup.freeze'), frozen ? '1' : '0')
  }

  const thaw = async (id: string): Promise<void> => {
    await setFrozen(id, false)
    await until(
      async () => !(await isFrozen(id)),
      () => 'The box did not thaw.',
    )
  }

  return {
    isFrozen,
    thaw,
    async ids() {
      return [...new Set(layout.mounts.flatMap((mount) => directoriesIn(join(mount, prefix))))]
    },
    async holds(id, pid) {
      const text = readNow(`/proc/${pid}/cgroup`)
      return text?.split('\n').some((line) => line.endsWith(`:/${prefix}/${id}`)) ?? false
    },
    async kill(id) {
      let left: readonly number[] = []
      await until(
        async () => {
          left = killIn(roll(id))
          // On version 1 a frozen process dies only when it thaws.
          if (left.length > 0 && layout.version === 1) await setFrozen(id, false).catch(ignoreGone)
          return left.length === 0
        },
        () => `Processes of the box did not end: ${left.join(', ')}.`,
      )
    },
    async remove(id) {
      await Promise.all(everywhere(id).map(removeTree))
    },
    async removeParent() {
      for (const mount of layout.mounts) {
        await rmdir(join(mount, prefix)).catch((error: unknown) => {
          if (!['ENOENT', 'EBUSY', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error
        })
      }
    },
    async freeze(id) {
      await setFrozen(id, true)
      try {
        // Version 1 stays at FREEZING while a process is busy in the kernel; asking again makes it go on.
        await until(
          async () => {
            if (await isFrozen(id)) return true
            if (layout.version === 1) await setFrozen(id, true)
            return false
          },
          () => 'The box did not freeze.',
        )
      } catch (error) {
        await setFrozen(id, false)
        throw error
      }
    },
    async oomKills(id) {
      const file = layout.version === 1 ? 'memory.oom_control' : 'memory.events'
      const text = readNow(join(pathOf('memory', id), file)) ?? ''
      return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
    },
    async cpuMs(id) {
      // Nanoseconds on version 1, microseconds on version 2.
      const [text, unit] =
        layout.version === 1
          ? [readNow(join(pathOf('cpuacct', id), 'cpuacct.usage')), 1e6]
          : [/^usage_usec (\d+)$/m.exec(readNow(join(pathOf('cpu', id), 'cpu.stat')) ?? '')?.[1], 1e3]
      return text === undefined ? undefined : Number(text) / unit
    },
  }
}

/** A cgroup and all below it, parents first. */
function tree(top: string): string[] {
  const found = [top]
  for (const directory of found) found.push(...directoriesIn(directory).map((name) => join(directory, name)))
  return found
}

/** Kills what is in a cgroup and below it. Returns whom it found. */
function killIn(top: string): number[] {
  const found: number[] = []
  for (const directory of tree(top)) {
    const text = readNow(join(directory, 'cgroup.procs')) ?? ''
    for (const line of text.split('\n')) if (line !== '' && line !== '0') found.push(Number(line))
  }
  for (const pid of found) killPid(pid)
  return found
}

async function removeTree(top: string): Promise<void> {
  await until(
    async () => {
      if (await removed(top)) return true
      // Something is left in it or below it: a runtime that was killed had moved its child into some cgroups only; or the kernel
      // has not yet let go of the last process, which takes it a moment.
      killIn(top)
      for (const directory of tree(top).reverse()) await removed(directory)
      return removed(top)
    },
    () => `The cgroup ${top} stays busy.`,
  )
}

async function removed(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true
    if (errnoOf(error) === 'EBUSY') return false
    throw error
  }
}

function killPid(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

function ignoreGone(error: unknown): void {
  if (!['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')) throw error
}

async function until(done: () => Promise<boolean>, message: () => string): Promise<void> {
  const deadline = performance.now() + settleMs
  for (let wait = 1; !(await done()); wait = Math.min(wait * 1.5, 50)) {
    if (performance.now() > deadline) throw new GibilError('driver_failed', message())
    await sleep(wait)
  }
}
