import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf, namesIn, readIfThere } from '@gibil/host'

/**
 * Ends runtimes that are still starting this box: when the daemon is killed in the middle of a create, the runtime that it started
 * goes on for some milliseconds and would make a cgroup just after ours was swept.
 */
export async function endStrayRuntimes(runtimeRoot: string, gvisorRoot: string, id: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const pids = await runtimesOf(runtimeRoot, gvisorRoot, id)
    if (pids.length === 0) return
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch (error) {
        if (errnoOf(error) !== 'ESRCH') throw error
      }
    }
    await sleep(10)
  }
}

async function runtimesOf(runtimeRoot: string, gvisorRoot: string, id: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await namesIn('/proc')) {
    if (!/^\d+$/.test(name)) continue
    // A zombie has no command line, so one that is dead but not yet waited for does not count.
    const args = ((await readIfThere(`/proc/${name}/cmdline`)) ?? '').split('\0')
    const root = args[args.indexOf('--root') + 1]
    // That of gVisor is the box's own.
    if (root === gvisorRoot || (root === runtimeRoot && args.includes(id))) found.push(Number(name))
  }
  return found
}
