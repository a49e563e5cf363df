import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'

/** Everything on this host that names the given box or home: what a destroyed box must not leave. */
export async function tracesOf(needle: string): Promise<string[]> {
  const traces: string[] = []
  const note = (kind: string, lines: readonly string[]): void => {
    for (const line of lines) if (line.includes(needle)) traces.push(`${kind}: ${line}`)
  }
  note('mount', (await readFile('/proc/self/mountinfo', 'utf8')).split('\n'))
  note('netns', await readdir('/run/netns').catch(() => []))
  note('link', await readdir('/sys/class/net'))
  note('loop', (await execa('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'])).stdout.split('\n'))
  note('cgroup', await cgroupsBelow('/sys/fs/cgroup', 4))
  note('process', await commandLines())
  return traces
}

async function cgroupsBelow(dir: string, depth: number): Promise<string[]> {
  if (depth === 0) return []
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name))
  return [...below, ...(await Promise.all(below.map((path) => cgroupsBelow(path, depth - 1)))).flat()]
}

async function commandLines(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  return Promise.all(
    pids.map(
      async (pid) => `${pid} ${(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')}`,
    ),
  )
}
