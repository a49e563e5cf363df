import { GibilError, type Isolation, type VolumeMount } from '@gibil/contract'
import type { Driver } from '../ports/driver.ts'

/** Below these, a box has what its shape or boxd gives it; over others, a volume would hide what a box cannot begin without. */
const taken = ['/proc', '/sys', '/dev', '/run', '/etc', '/usr', '/bin', '/sbin', '/lib', '/lib64']

const longestPath = 4095

const refuse = (path: string, why: string): never => {
  throw new GibilError('invalid_path', `A volume cannot be at "${path.slice(0, 200)}": ${why}.`, {
    hint: 'Name an absolute path such as /data or /home/agent/shared, another one for each volume.',
  })
}

/** Throws `invalid_path` for places where no volume can be, or two would hide each other. */
export function checkMountPaths(mounts: readonly VolumeMount[]): void {
  const seen: string[] = []
  for (const { path } of mounts) {
    if (!path.startsWith('/') || path.includes('\0') || path.length > longestPath)
      refuse(path, 'it is no absolute path')
    if (
      path === '/' ||
      path
        .split('/')
        .slice(1)
        .some((part) => ['', '.', '..'].includes(part))
    ) {
      refuse(path, 'it is "/", ends with one, or has "//", "." or ".." in it')
    }
    if (taken.some((place) => lies(path, place))) refuse(path, 'the system of the box is there')
    if (seen.some((other) => lies(path, other) || lies(other, path))) refuse(path, 'another volume is there')
    seen.push(path)
  }
}

const lies = (path: string, below: string): boolean => path === below || path.startsWith(`${below}/`)

/** Throws `unsupported_by_shape` where no volume can be mounted. */
export function checkCanMount(driver: Pick<Driver, 'shape' | 'provider' | 'capabilities'>, isolation: Isolation): void {
  if (isolation !== 'gvisor' && driver.capabilities.has('volumes')) return
  const [what, why] =
    isolation === 'gvisor'
      ? ['in gVisor', 'what one box writes would not be seen by the others']
      : driver.provider === 'local'
        ? [`of shape ${driver.shape}`, 'it has a kernel of its own, which cannot share a file system with others']
        : [`at ${driver.provider}`, 'volumes are on this machine']
  throw new GibilError('unsupported_by_shape', `A box ${what} has no volumes: ${why}.`, {
    hint: 'Use a container (--shape container) on this machine, or copy what it needs: `gibil cp`.',
  })
}
