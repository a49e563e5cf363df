import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readTold, type Told } from '../../../packages/cloud-init/src/testing/told.ts'
import { enforce } from '../../../packages/hetzner-sim/src/machines/admission.ts'
import { namesFor, removeLinks } from '../../../packages/hetzner-sim/src/machines/links.ts'
import type { MachineSpec, Machines } from '../../../packages/hetzner-sim/src/machines/port.ts'

const exec = promisify(execFile)

/**
 * Machines for the simulator that are there in a moment: processes in namespaces of their own, at the address of the server, with a copy of this host as their disk and Debian's
 * SSH server as process 1. They have no kernel of their own, no systemd and no cloud-init: `init.sh` does what our user data asks for in its place (host key, login, files,
 * the commands at the first boot, scripts of the user). What a real cloud-init and a real boot do is tested elsewhere. Needs root.
 */
export interface ProcessMachines extends Machines {
  /** Where the files of a machine are that this host has not, or not so. */
  filesOf(id: number): string
  /** Runs a script of sh as root in a machine. */
  inside(id: number, script: string): Promise<string>
  /** Takes the network from a machine: nothing comes through, and nobody is told. Returns what gives it back. */
  cutOff(id: number): Promise<() => Promise<void>>
}

/** `dir`: for disks; it has to be there, and what is in it is gone in the end. `system`: what is below their disks; this host if absent. */
export async function processMachines(dir: string, system = '/'): Promise<ProcessMachines> {
  // The disk of a machine cannot be a part of what it is a copy of.
  await exec('mount', ['-t', 'tmpfs', '-o', 'mode=0700', 'tmpfs', dir])
  const names = namesFor(dir)
  const up = new Map<number, { readonly child: ChildProcess; readonly spec: MachineSpec }>()
  const ownOf = (id: number): string => join(dir, 'machines', String(id))
  const imageOf = (image: number): string => join(dir, 'images', String(image))
  let tell: (id: number) => void = () => undefined

  const end = async (id: number): Promise<void> => {
    const found = up.get(id)
    up.delete(id)
    if (found) await kill(found.child)
    await removeLinks(names.of(id))
  }
  const boot = async (spec: MachineSpec): Promise<void> => {
    const { id, ipv4, image, userData } = spec
    if (ipv4 === null) throw new Error('a machine without a public IPv4 cannot be reached')
    await end(id)
    const own = ownOf(id)
    await mkdir(own, { recursive: true })
    const disk = join(own, 'disk')
    if (image.name === null && !existsSync(disk)) await exec('cp', ['-a', imageOf(image.id), disk])
    await writeTold(join(own, 'told'), id, readTold(userData))
    await makeLinks(names.of(id), ipv4)
    await enforce(names.of(id).namespace, spec.inbound)
    const log = await open(join(own, 'log'), 'a')
    // It ends with this process, however that ends.
    const argv = [
      '--pdeathsig',
      'KILL',
      'ip',
      'netns',
      'exec',
      names.of(id).namespace,
      'unshare',
      ...isolated,
      own,
      system,
    ]
    const child = spawn('setpriv', argv, { stdio: ['ignore', log.fd, log.fd], env: { PATH: process.env['PATH'] } })
    await once(child, 'spawn')
    await log.close()
    up.set(id, { child, spec })
    child.once('exit', () => {
      if (up.get(id)?.child !== child) return
      void end(id).then(() => tell(id))
    })
  }

  return {
    freeIpv4: names.freeIpv4,
    boot,
    powerOff: end,
    async shutdown(id) {
      const pid = await firstProcess(up.get(id)?.child)
      if (pid !== undefined) process.kill(pid, 'SIGTERM')
    },
    async reset(id) {
      const found = up.get(id)
      if (found) await boot(found.spec)
    },
    async remove(id) {
      await end(id)
      await rm(ownOf(id), { recursive: true, force: true })
    },
    async admit(id, inbound) {
      if (!up.has(id)) return
      await enforce(names.of(id).namespace, inbound).catch((error) => {
        if (up.has(id)) throw error
      })
    },
    async image(id, image) {
      await mkdir(join(dir, 'images'), { recursive: true })
      await exec('cp', ['-a', join(ownOf(id), 'disk'), imageOf(image)])
      return 0.1
    },
    removeImage: (image) => rm(imageOf(image), { recursive: true, force: true }),
    isRunning: async (id) => up.has(id),
    onOff(listener) {
      tell = listener
    },
    async close() {
      for (const id of [...up.keys()]) await end(id)
      await exec('umount', [dir])
    },
    filesOf: (id) => join(ownOf(id), 'disk'),
    async inside(id, script) {
      const pid = await firstProcess(up.get(id)?.child)
      const argv = ['--target', String(pid), '--mount', '--pid', '--net', '--uts', '--root', '--wd', 'sh', '-c', script]
      return (await exec('nsenter', argv)).stdout
    },
    async cutOff(id) {
      const { namespace } = names.of(id)
      const nft = (text: string) => exec('ip', ['netns', 'exec', namespace, 'nft', text])
      const chain = (hook: string): string =>
        `chain ${hook} { type filter hook ${hook} priority -300; meta nfproto ipv4 drop; };`
      await nft(`table inet gone { ${chain('prerouting')} ${chain('output')} }`)
      return async () => {
        await nft('delete table inet gone')
      }
    },
  }
}

const here = import.meta.dirname
const namespaces = ['--mount', '--propagation', 'private', '--pid', '--uts', '--fork', '--kill-child']
const isolated = [...namespaces, 'sh', join(here, 'machine.sh')]

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Process 1 of a machine, as this host numbers it. */
async function firstProcess(child: ChildProcess | undefined): Promise<number | undefined> {
  const { pid } = child ?? {}
  if (pid === undefined) return undefined
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return Number(children.split(' ')[0]) || undefined
}

/** What a machine is told at its first boot, as files that `init.sh` reads. */
async function writeTold(at: string, id: number, { config, boothooks, scripts }: Told): Promise<void> {
  await rm(at, { recursive: true, force: true })
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(join(at, path, '..'), { recursive: true })
    await writeFile(join(at, path), text)
  }
  await mkdir(at, { recursive: true })
  await copyFile(join(here, 'init.sh'), join(at, 'init'))
  await put('instance-id', `${id}\n`)
  await put('hostname', `${config.hostname}\n`)
  const [user] = config.users
  await put('authorized_keys', `${(user?.ssh_authorized_keys ?? []).join('\n')}\n`)
  await put('files/etc/ssh/ssh_host_ed25519_key', config.ssh_keys.ed25519_private)
  await put('files/etc/ssh/ssh_host_ed25519_key.pub', config.ssh_keys.ed25519_public)
  for (const { path, content } of config.write_files) await put(`files${path}`, content)
  await put('runcmd', `#!/bin/sh\n${config.runcmd.map(toLine).join('\n')}\n`)
  for (const [index, hook] of boothooks.entries()) await put(`boothook-${index}`, hook)
  for (const [index, script] of scripts.entries()) await put(`script-${index}`, script)
}

/** As cloud-init writes a command of `runcmd`: a list is its words. */
const toLine = (command: string | readonly string[]): string =>
  typeof command === 'string' ? command : command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')

/** A network namespace at a public address, which the host reaches by links that have no IPv4 address of their own. */
async function makeLinks({ namespace, link }: { namespace: string; link: string }, address: string): Promise<void> {
  const lines = [
    `netns add ${namespace}`,
    `link add ${link} type veth peer name uplink netns ${namespace}`,
    `addr add fe80::1/64 dev ${link} nodad`,
    `link set ${link} up`,
    `-n ${namespace} addr add fe80::2/64 dev uplink nodad`,
    `-n ${namespace} addr add ${address}/32 dev uplink`,
    `-n ${namespace} link set uplink up`,
    `-n ${namespace} link set lo up`,
    `-n ${namespace} route add 0.0.0.0/0 via inet6 fe80::1 dev uplink`,
    `route add ${address}/32 via inet6 fe80::2 dev ${link}`,
  ]
  for (const line of lines) await exec('ip', line.split(' '))
}
