import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CgroupLayout, createCgroups, parseCgroupLayout } from '@gibil/host'
import { afterEach, describe, expect, it } from 'vitest'

const prefix = `gibil-test-${process.pid}`
const host = parseCgroupLayout(await readFile('/proc/self/mountinfo', 'utf8'))

/** This host's own layout, and on a host with both versions also the other one, which can freeze and kill without any controller. */
function layouts(): CgroupLayout[] {
  if (host === undefined) return []
  const unified = host.mounts.find((mount) => existsSync(join(mount, 'cgroup.controllers')))
  if (host.version === 2 || unified === undefined) return [host]
  const byController = new Map([...host.byController.keys()].map((name) => [name, unified]))
  return [host, { version: 2, mounts: [unified], byController }]
}

describe.each(layouts())('cgroups of version $version', (layout) => {
  const cgroups = createCgroups(layout, prefix)
  const children: ChildProcess[] = []

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await cgroups.kill('box')
    await cgroups.remove('box')
    await cgroups.removeParent()
    expect(layout.mounts.filter((mount) => existsSync(join(mount, prefix)))).toEqual([])
  })

  /** A process in the box's cgroup, or in one below it, of every mount. */
  async function busy(below = ''): Promise<ChildProcess> {
    const child = spawn('bash', ['-c', 'while :; do :; done'])
    children.push(child)
    await once(child, 'spawn')
    for (const mount of layout.mounts) {
      // A cpuset of version 1 takes no process before it has CPUs, which runtimes see to.
      if (layout.version === 1 && existsSync(join(mount, 'cpuset.cpus'))) continue
      await mkdir(join(mount, prefix, 'box', below), { recursive: true })
      await writeFile(join(mount, prefix, 'box', below, 'cgroup.procs'), String(child.pid))
    }
    return child
  }

  it('know who is in a box', async () => {
    expect(await cgroups.ids()).toEqual([])
    const { pid = 0 } = await busy()
    expect(await cgroups.ids()).toEqual(['box'])
    expect(await cgroups.holds('box', pid)).toBe(true)
    expect(await cgroups.holds('ox', pid)).toBe(false)
    expect(await cgroups.holds('box', process.pid)).toBe(false)
    expect(await cgroups.oomKills('box')).toBe(0)
  })

  it('freeze and thaw', async () => {
    const { pid = 0 } = await busy()
    const ticks = async () => Number((await readFile(`/proc/${pid}/stat`, 'utf8')).split(' ')[13])
    await cgroups.freeze('box')
    expect(await cgroups.isFrozen('box')).toBe(true)
    const before = await ticks()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await ticks()).toBe(before)
    await cgroups.thaw('box')
    expect(await cgroups.isFrozen('box')).toBe(false)
  })

  it.each([true, false])('kill all that is in a box and below it; frozen: %s', async (frozen) => {
    const ended = [await busy(), await busy('below/deeper')].map((child) => once(child, 'exit'))
    if (frozen) await cgroups.freeze('box')
    await cgroups.kill('box')
    await Promise.all(ended)
    await cgroups.remove('box')
    await cgroups.remove('box')
    expect(await cgroups.ids()).toEqual([])
    expect(await cgroups.isFrozen('box')).toBe(false)
  })
})
