import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { mustRun } from '../process.ts'

const needed = ['dockerd', 'docker', 'containerd', 'containerd-shim-runc-v2', 'iptables', 'runc']
const packages = ['docker.io', 'containerd', 'tini']

/**
 * A PATH on which Docker is: the host's own, else Debian's packages unpacked into a folder of ours. They are not installed, because that would start
 * a Docker of the host's, which changes its firewall.
 */
export async function dockerPath(cache: string): Promise<string> {
  const own = process.env['PATH'] ?? ''
  if (missing(own).length === 0) return own
  const folder = join(cache, 'docker')
  if (!existsSync(folder)) await unpack(folder)
  const path = [join(folder, 'usr/sbin'), join(folder, 'usr/bin'), own, '/usr/sbin', '/sbin'].join(delimiter)
  const absent = missing(path)
  if (absent.length > 0)
    throw new Error(`Docker needs ${absent.join(', ')}, which neither the host nor its packages have.`)
  return path
}

const missing = (path: string): string[] =>
  needed.filter((program) => !path.split(delimiter).some((directory) => existsSync(join(directory, program))))

async function unpack(folder: string): Promise<void> {
  const half = `${folder}.${process.pid}.half`
  try {
    await mkdir(join(half, 'packages'), { recursive: true })
    await mustRun(['apt-get', '-o', 'APT::Sandbox::User=root', 'download', ...packages], {
      cwd: join(half, 'packages'),
    })
    await mustRun(['sh', '-c', 'for package in packages/*.deb; do dpkg-deb -x "$package" . || exit; done'], {
      cwd: half,
    })
    await rm(join(half, 'packages'), { recursive: true })
    await rename(half, folder)
  } finally {
    await rm(half, { recursive: true, force: true })
  }
}
