import { access, constants, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { isInstalled } from '../setup/host-packages.ts'
import { type Check, ok, skip, warn } from './check.ts'

const bootLimitMs = 15_000
const mend = 'Nothing to do: microvm and vm run without it, slower. For speed, use a host with nested virtualisation.'

/**
 * Whether /dev/kvm boots a stock kernel. That the device opens proves little: on some hosts a guest hangs at its first
 * instructions. So a kernel of this machine is booted without a disk, and must come as far as to panic for the lack of one.
 */
export async function checkKvm(): Promise<Check> {
  if (!(await accessible('/dev/kvm'))) return warn('kvm', 'no /dev/kvm that can be opened', mend)
  const qemu = process.arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'
  if (!(await isInstalled(qemu)))
    return skip('kvm', `/dev/kvm is there, not tried: ${qemu} is not installed (containers do not need it)`)
  const kernel = await stockKernel()
  if (!kernel) return skip('kvm', '/dev/kvm is there, not tried: no kernel in /boot to boot with it')
  return (await boots(qemu, kernel))
    ? ok('kvm', `boots ${kernel}`)
    : warn('kvm', `/dev/kvm opens, but ${kernel} does not boot with it within ${bootLimitMs / 1000} s`, mend)
}

async function boots(qemu: string, kernel: string): Promise<boolean> {
  const dir = await mkdtemp(join(tmpdir(), 'gibil-kvm-'))
  try {
    const machine = process.arch === 'arm64' ? 'virt' : 'q35'
    const args = [
      '-machine',
      `${machine},accel=kvm`,
      '-cpu',
      'host',
      '-m',
      '256',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
    ]
    const append = 'console=ttyS0 panic=-1 root=none'
    const guest = await execa(qemu, [...args, '-serial', 'stdio', '-no-reboot', '-kernel', kernel, '-append', append], {
      cwd: dir,
      stdin: 'ignore',
      timeout: bootLimitMs,
      forceKillAfterDelay: 500,
      reject: false,
      maxBuffer: 4 * 1024 * 1024,
    })
    return /Kernel panic - not syncing: VFS/.test(guest.stdout)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const accessible = (path: string): Promise<boolean> =>
  access(path, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )

async function stockKernel(): Promise<string | undefined> {
  const names = await readdir('/boot').catch(() => [])
  const newest = names
    .filter((name) => name.startsWith('vmlinuz-'))
    .sort()
    .at(-1)
  return newest && join('/boot', newest)
}
