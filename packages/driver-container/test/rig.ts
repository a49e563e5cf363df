import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { DriverSpec } from '@gibil/core'
import { homeNames } from '@gibil/host'

/** What the real tests share: binaries, a small root file system, homes, and a look at what a home left on the host. */

const exec = promisify(execFile)
const root = resolve(import.meta.dirname, '../../..')
const cache = '/var/tmp/gibil-test-driver-container'

export async function sh(command: string): Promise<string> {
  // Without --norc bash reads ~/.bashrc here: it takes a socket as its input, which Node's pipes are, for a remote login.
  const { stdout } = await exec('bash', ['--norc', '-ec', command], { maxBuffer: 16 * 1024 * 1024 })
  return stdout
}

/** Builds boxd and hostkit (from Go's cache when nothing changed). */
export async function buildBinaries(): Promise<{ boxd: string; hostkit: string }> {
  // Not those of another checkout, which may speak another protocol.
  const out = join(cache, `bin-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`)
  await mkdir(out, { recursive: true })
  for (const name of ['boxd', 'hostkit']) await exec('sh', [join(root, name, 'build.sh'), out])
  return { boxd: join(out, 'boxd'), hostkit: join(out, 'hostkit') }
}

/** Puts the program that tries to get out (attack/main.go) into a box, and returns its path there. */
export async function armBox(rootfs: string): Promise<string> {
  const path = 'bin/attack'
  const env = { ...process.env, CGO_ENABLED: '0', GO111MODULE: 'off' }
  await exec('go', ['build', '-o', join(rootfs, path), '.'], { cwd: join(import.meta.dirname, 'attack'), env })
  return `/${path}`
}

/** A root file system of static bash and busybox from Debian with the users root and agent, made once per machine. */
export async function testRootfs(): Promise<string> {
  const target = join(cache, 'rootfs-5')
  if (existsSync(target)) return target
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, 'making-'))
  try {
    await sh(
      `cd ${work} && apt-get -o APT::Sandbox::User=root download busybox-static bash-static && for p in *.deb; do dpkg-deb -x "$p" unpacked; done`,
    )
    const made = join(work, 'rootfs')
    for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'run', 'root', 'home/agent', 'var']) {
      await mkdir(join(made, name), { recursive: true })
    }
    await mkdir(join(made, 'tmp'))
    await chmod(join(made, 'tmp'), 0o1777)
    const find = async (name: string) =>
      (await sh(`find ${work}/unpacked -type f -path '*/bin/*' -name ${name}`)).trim().split('\n')[0] ?? ''
    await cp(await find('bash-static'), join(made, 'bin/bash'))
    await cp(await find('busybox'), join(made, 'bin/busybox'))
    const applets = (await sh(`${made}/bin/busybox --list`)).trim().split('\n')
    for (const applet of applets) {
      if (applet !== 'bash' && applet !== 'busybox') await symlink('busybox', join(made, 'bin', applet))
    }
    await writeFile(join(made, 'etc/passwd'), 'root:x:0:0::/root:/bin/bash\nagent:x:1000:1000::/home/agent:/bin/bash\n')
    await writeFile(join(made, 'etc/group'), 'root:x:0:\ntty:x:5:\nagent:x:1000:\n')
    await exec('go', ['build', '-o', join(made, 'bin/probe'), join(import.meta.dirname, 'probe.go')], {
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' },
    })
    await sh(`chown 1000:1000 ${made}/home/agent`)
    await rename(made, target).catch((error: unknown) => {
      // Somebody else was faster.
      if (!existsSync(target)) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return target
}

export async function newHome(): Promise<string> {
  await mkdir(cache, { recursive: true })
  return mkdtemp(join(cache, 'home-'))
}

export function boxSpec(rootfs: string, id: string, given: Partial<DriverSpec> = {}): DriverSpec {
  return {
    id,
    hostname: id,
    image: { name: 'test', digest: 'sha256:test', layers: [rootfs], env: {}, workdir: null, user: null },
    size: { cpu: 1, memoryMib: 128, diskMib: 128 },
    network: 'internet',
    isolation: 'namespaces',
    labels: {},
    ...given,
  }
}

/** Everything on the host that carries the home's names, one line each; none when nothing is left. */
export async function leftovers(home: string, id?: string): Promise<string[]> {
  const names = homeNames(home)
  const found: string[] = []
  const wanted = (text: string): boolean =>
    text.includes(id ?? names.prefix) || (id === undefined && text.includes(names.linkPrefix))
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const target = line.split(' ')[4] ?? ''
    if (target.includes(names.prefix) && wanted(target)) found.push(`mount ${target}`)
  }
  for (const name of await list('/run/netns'))
    if (name.startsWith(names.prefix) && wanted(name)) found.push(`netns ${name}`)
  for (const name of await list('/sys/class/net')) {
    if (name.startsWith(names.linkPrefix) && id === undefined) found.push(`link ${name}`)
  }
  for (const mount of ['', ...(await list('/sys/fs/cgroup'))]) {
    for (const name of await list(join('/sys/fs/cgroup', mount, names.prefix))) {
      if (existsSync(join('/sys/fs/cgroup', mount, names.prefix, name, 'cgroup.procs')))
        found.push(`cgroup ${mount} ${name}`)
    }
  }
  for (const directory of [names.boxesDir, join(names.runDir, 'boxes'), names.runtimeRoot]) {
    for (const name of await list(directory)) found.push(`directory ${join(directory, name)}`)
  }
  for (const device of await list('/sys/block')) {
    const file = join('/sys/block', device, 'loop/backing_file')
    const backing = existsSync(file) ? await readFile(file, 'utf8').catch(() => '') : ''
    if (backing.startsWith(home)) found.push(`loop ${device} ${backing.trim()}`)
  }
  for (const pid of (await list('/proc')).filter((name) => /^\d+$/.test(name))) {
    const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
    const dead = /\) [ZX] /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''))
    if (!dead && text.includes(`/${names.prefix}/`)) found.push(`process ${pid}`)
  }
  return found
}

/** What the home itself has on the host while its driver is open: none after it closed with no boxes left. */
export async function traces(home: string): Promise<string[]> {
  const names = homeNames(home)
  const found: string[] = []
  if ((await sh('nft list tables')).includes(names.prefix)) found.push(`table ${names.prefix}`)
  if (existsSync(names.runDir)) found.push(`directory ${names.runDir}`)
  for (const name of await list('/run/gibil/claims')) {
    if ((await readlink(join('/run/gibil/claims', name)).catch(() => '')) === home) found.push(`claim ${name}`)
  }
  for (const mount of ['', ...(await list('/sys/fs/cgroup'))]) {
    const path = join('/sys/fs/cgroup', mount, names.prefix)
    if (existsSync(path)) found.push(`cgroup ${path}`)
  }
  return found
}

async function list(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => [])
}
