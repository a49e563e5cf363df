import { readdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Removes a cgroup that the bench gave as parent, with the empty ones in it, on every hierarchy. */
export async function removeCgroups(parent: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
  for (const mount of mounts) {
    const top = join(mount, parent)
    const below = await readdir(top, { withFileTypes: true }).catch(() => [])
    for (const entry of below) if (entry.isDirectory()) await rmdir(join(top, entry.name)).catch(() => undefined)
    await rmdir(top).catch(() => undefined)
  }
}
