import type { StatsFs } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { formatBytes } from '@gibil/sdk'
import { hostTools, installCommand, isInstalled } from '../setup/host-packages.ts'
import { type Check, fail, ok, warn } from './check.ts'

export function checkRoot(): Check {
  return process.getuid?.() === 0
    ? ok('root', 'yes')
    : fail('root', 'this is not root; containers need a daemon that is', 'sudo ./gibil up')
}

/** One line per program that is missing, one for all that are there. */
export async function checkTools(): Promise<Check[]> {
  const present = await Promise.all(hostTools.map((tool) => isInstalled(tool.program)))
  const missing = hostTools.filter((_, index) => !present[index])
  const found = hostTools.filter((_, index) => present[index]).map((tool) => tool.program)
  return [
    ...(found.length > 0 ? [ok('tools', found.join(', '))] : []),
    ...missing.map((tool) => fail(`tool ${tool.program}`, `missing; it ${tool.purpose}`, installCommand([tool]))),
  ]
}

const enough = 10 * 1024 ** 3
const least = 2 * 1024 ** 3

/** Free space where boxes and images are kept; the base image and one box take about 2 GiB. */
export async function checkDiskSpace(home: string): Promise<Check> {
  const stats = await nearestStatfs(home)
  const free = stats.bavail * stats.bsize
  const detail = `${formatBytes(free)} free for ${home}`
  if (free >= enough) return ok('disk space', detail)
  const mend = 'Free space, or put GIBIL_HOME on a larger disk.'
  return free >= least ? warn('disk space', detail, mend) : fail('disk space', detail, mend)
}

/** The home may not exist yet; its nearest parent that does tells the same. */
async function nearestStatfs(path: string): Promise<StatsFs> {
  try {
    return await statfs(path)
  } catch (error) {
    const parent = dirname(path)
    if (parent === path) throw error
    return nearestStatfs(parent)
  }
}
