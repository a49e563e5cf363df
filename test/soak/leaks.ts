import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import { footprintOf, runDirOf } from '../support/footprint.ts'
import { tracesOf } from '../support/host-traces.ts'

/** What one process holds. */
interface Held {
  readonly rssMiB: number
  readonly fds: number
}

/** The daemon, and hostkit beside it. */
export interface Processes {
  readonly daemon: Held
  readonly hostkit: Held
}

/** Everything on this host that belongs to a home whose daemon is down; with no boxes that must never grow. */
export async function remains(home: string): Promise<string[]> {
  const mark = basename(runDirOf(home))
  const [own, byPath, files, running, tables] = await Promise.all([
    footprintOf(home),
    tracesOf(home),
    filesOf(home),
    readdir(runDirOf(home), { recursive: true }).catch(() => []),
    execa('nft', ['list', 'ruleset']),
  ])
  const rules = tables.stdout.split(/^(?=table )/m).filter((table) => table.split('\n')[0]?.includes(mark))
  return [
    ...new Set([
      ...own,
      ...byPath,
      ...files,
      ...running.map((name) => `run: ${name}`),
      ...rules.flatMap((table) => table.split('\n').map((line) => `nft: ${line.trim()}`)),
    ]),
  ].toSorted()
}

/** What a home has with no boxes in it: images, the database, and file systems made ahead, one for each size. */
const kept = /^(images|cache|gibil\.db.*)$/

/** Names below the home, without those. */
async function filesOf(home: string): Promise<string[]> {
  const names = await readdir(home, { withFileTypes: true })
  const listed = names
    .filter(({ name }) => !kept.test(name))
    .map(async (entry) => {
      const below = entry.isDirectory() ? await readdir(join(home, entry.name), { recursive: true }) : []
      return [`home: ${entry.name}`, ...below.map((name) => `home: ${entry.name}/${name}`)]
    })
  return (await Promise.all(listed)).flat()
}

export async function processesOf(daemon: number): Promise<Processes> {
  const hostkit = await hostkitOf(daemon)
  // It is started with the first box.
  const none = { rssMiB: 0, fds: 0 }
  return { daemon: await heldBy(daemon), hostkit: hostkit ? await heldBy(hostkit) : none }
}

async function hostkitOf(daemon: number): Promise<number | undefined> {
  const children = (await readFile(`/proc/${daemon}/task/${daemon}/children`, 'utf8')).split(' ').filter(Boolean)
  const named = await Promise.all(
    children.map(async (pid) => ({ pid, name: (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim() })),
  )
  const hostkit = named.find(({ name }) => name === 'hostkit')
  return hostkit && Number(hostkit.pid)
}

async function heldBy(pid: number): Promise<Held> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const rssMiB = Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024)
  return { rssMiB, fds: (await targetsOf(pid)).length }
}

/** What the descriptors of a process are. User namespaces do not count: hostkit keeps those of the last 256 ranges of ids on purpose. */
async function targetsOf(pid: number): Promise<string[]> {
  const fds = await readdir(`/proc/${pid}/fd`)
  const targets = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => 'gone')))
  return targets.filter((target) => !target.startsWith('user:['))
}

/** The kinds of descriptors of the daemon and of hostkit, most frequent first: for the report of a leak. */
export async function descriptors(daemon: number): Promise<string> {
  const hostkit = await hostkitOf(daemon)
  return `daemon: ${await kindsOf(daemon)}; hostkit: ${hostkit ? await kindsOf(hostkit) : 'none'}`
}

async function kindsOf(pid: number): Promise<string> {
  const counts = new Map<string, number>()
  for (const target of await targetsOf(pid)) {
    const kind = target.replace(/\d+/g, 'N')
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([target, count]) => `${count} ${target}`)
    .join(', ')
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
