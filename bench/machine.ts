import { readFile } from 'node:fs/promises'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { mustRun } from './process.ts'

/** Where and with what the numbers came about. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly os: string
  readonly hardwareVirtualisation: boolean
  readonly cgroups: 1 | 2
  readonly versions: Readonly<Record<string, string>>
}

export async function describeMachine(commit: string): Promise<Machine> {
  const cpuinfo = await readFile('/proc/cpuinfo', 'utf8')
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const firstLine = async (...argv: string[]): Promise<string> =>
    (await mustRun(argv).catch(() => 'not there')).split('\n')[0] ?? ''
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round((totalmem() / 1024 ** 3) * 10) / 10,
    kernel: release(),
    os: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? 'unknown',
    hardwareVirtualisation: /^flags.*\b(vmx|svm)\b/m.test(cpuinfo),
    cgroups: / - cgroup /.test(mounts) ? 1 : 2,
    versions: { gibil: commit, node: process.version, runc: await firstLine('runc', '--version') },
  }
}

/** Load of one minute: what else was going on. */
export const load = (): number => Math.round((loadavg()[0] ?? 0) * 100) / 100
