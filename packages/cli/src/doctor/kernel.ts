import { access, readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { type Check, fail, ok } from './check.ts'

/** Overlayfs over id-mapped layers came with Linux 5.19. */
const oldest = [5, 19] as const

export function checkKernel(version = release()): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const fits = major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
  return fits
    ? ok('kernel', version)
    : fail(
        'kernel',
        `${version} is older than ${oldest.join('.')}`,
        'Install a newer kernel: Debian 12, Ubuntu 22.04 with the HWE kernel, or later.',
      )
}

export async function checkCgroups(root = '/sys/fs/cgroup'): Promise<Check> {
  const controllers = await readFile(`${root}/cgroup.controllers`, 'utf8').catch(() => undefined)
  if (controllers !== undefined) return missingFrom(controllers.trim().split(/\s+/), 'version 2')
  const needed = ['cpu', 'memory', 'pids', 'freezer']
  const present: string[] = []
  for (const name of needed) {
    if (await exists(`${root}/${name}/tasks`)) present.push(name)
  }
  return missingFrom(present, 'version 1', needed)
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

function missingFrom(present: readonly string[], version: string, needed = ['cpu', 'memory', 'pids']): Check {
  const missing = needed.filter((name) => !present.includes(name))
  return missing.length === 0
    ? ok('cgroups', `${version}: ${needed.join(', ')}`)
    : fail(
        'cgroups',
        `${version} lacks ${missing.join(', ')}`,
        'Boot with cgroup_enable=memory, or enable the controllers for the root slice.',
      )
}

export async function checkUserNamespaces(): Promise<Check> {
  const max = Number(await readFile('/proc/sys/user/max_user_namespaces', 'utf8').catch(() => '0'))
  if (max === 0) {
    return fail(
      'user namespaces',
      'switched off (user.max_user_namespaces = 0)',
      'sudo sysctl -w user.max_user_namespaces=15000',
    )
  }
  return ok('user namespaces', `up to ${max}`)
}
