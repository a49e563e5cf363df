import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { provideKernel } from '../packages/driver-qemu/src/guest-kernel.ts'
import { microvm } from '../packages/driver-qemu/src/model.ts'
import { type Accelerator, kernelCommandLine, machineArgs } from '../packages/driver-qemu/src/qemu-args.ts'
import { mustRun, run } from './process.ts'

const emulator = 'qemu-system-x86_64'
/** What boxd says as the first program of a guest that has no disk. */
const sign = 'gibil: boots'
const controlMac = '02:67:69:62:69:01'

/** The bare emulator with the guest and the frozen machine that Gibil has made in a home: the least that a microvm can take. */
export interface QemuFloor extends AsyncDisposable {
  /** Boots the guest until its first program runs. */
  boot(): Promise<void>
  /** A copy of the frozen machine until boxd has answered once. Returns the clean-up, which is not part of it. */
  restore(): Promise<() => Promise<void>>
}

export async function startQemuFloor(home: string, size: { cpu: number; memoryMib: number }): Promise<QemuFloor> {
  const cache = join(home, 'microvm/cache')
  const kernel = await provideKernel(cache)
  const [initrd = ''] = await readdir(join(cache, 'initrd'))
  const [key = ''] = await readdir(join(cache, 'frozen'))
  const frozen = join(cache, 'frozen', key)
  const accelerator = await acceleratorOf(cache)
  const machine = [...machineArgs(microvm, accelerator, size.cpu), '-m', `${size.memoryMib}M`]
  const work = await mkdtemp(join(tmpdir(), 'bench-qemu-'))
  const netns = `bench-qemu-${process.pid}`
  const inside = (...argv: string[]): string[] => ['ip', 'netns', 'exec', netns, ...argv]
  await mustRun(['ip', 'netns', 'add', netns])
  for (const line of [
    'tuntap add control mode tap',
    'tuntap add box mode tap',
    'addr add 169.254.77.1/30 dev control',
    'link set control address 02:67:69:62:69:00 mtu 65000 up',
    `neigh add 169.254.77.2 lladdr ${controlMac} dev control nud permanent`,
  ]) {
    await mustRun(inside('ip', ...line.split(' ')))
  }

  return {
    async boot() {
      const guest = ['-kernel', kernel.image, '-initrd', join(cache, 'initrd', initrd)]
      const append = `${kernelCommandLine(microvm, accelerator)} gibil.probe`
      const output = await mustRun([emulator, ...machine, ...guest, '-append', append, '-serial', 'stdio'])
      if (!output.includes(sign)) throw new Error('The guest did not boot.')
    },
    async restore() {
      const disk = join(work, 'root.qcow2')
      await mustRun(['cp', join(frozen, 'empty.qcow2'), disk])
      const memory = `memory-backend-file,id=ram,size=${size.memoryMib}M,mem-path=${join(frozen, 'memory')},share=off`
      const devices = [
        ...['-machine', 'memory-backend=ram', '-object', memory, '-serial', 'null'],
        ...['-blockdev', JSON.stringify({ ...blockdev, file: { driver: 'file', filename: disk } })],
        ...['-device', 'virtio-blk-device,drive=root'],
        ...['-blockdev', JSON.stringify({ ...modules, file: { driver: 'file', filename: kernel.moduleDisk } })],
        ...['-device', 'virtio-blk-device,drive=modules,num-queues=1,queue-size=16'],
        ...['-netdev', 'tap,id=control,ifname=control,script=no,downscript=no'],
        ...['-device', `virtio-net-device,netdev=control,mac=${controlMac}`],
        ...['-netdev', 'tap,id=box,ifname=box,script=no,downscript=no'],
        ...['-device', 'virtio-net-device,netdev=box,mac=02:67:69:62:69:02'],
        ...['-device', 'virtio-rng-device', '-S', '-incoming', 'defer', '-qmp', 'stdio'],
      ]
      const [program = '', ...args] = inside(emulator, ...machine, ...devices)
      await using state = await open(join(frozen, 'state'))
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit', state.fd] })
      if (!child.stdin || !child.stdout) throw new Error('QEMU has no monitor.')
      for (const order of orders) child.stdin.write(`${JSON.stringify(order)}\n`)
      const end = async (): Promise<void> => {
        if (child.exitCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      try {
        // Before, nobody is at the other end of the link, and the kernel would try again a second later.
        if (!(await says(child.stdout, '"RESUME"'))) throw new Error('QEMU could not go on with the frozen machine.')
        const answer = await mustRun(inside('bash', '-c', askBoxd))
        if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`boxd said ${JSON.stringify(answer)}`)
      } catch (error) {
        await end()
        throw error
      }
      return end
    },
    async [Symbol.asyncDispose]() {
      await run(['ip', 'netns', 'delete', netns])
      await rm(work, { recursive: true, force: true })
    },
  }
}

const modules = { driver: 'raw', 'node-name': 'modules', 'read-only': true } as const
const blockdev = { driver: 'qcow2', 'node-name': 'root', discard: 'unmap', 'detect-zeroes': 'unmap' } as const

/** Going on is ordered before the state has come: QEMU then does it by itself. */
const orders = [
  { execute: 'qmp_capabilities' },
  {
    execute: 'migrate-set-capabilities',
    arguments: { capabilities: [{ capability: 'x-ignore-shared', state: true }] },
  },
  { execute: 'migrate-incoming', arguments: { uri: 'fd:3' } },
  { execute: 'cont' },
]

const askBoxd =
  "exec 3<>/dev/tcp/169.254.77.2/1; printf 'GET /v1/health HTTP/1.1\\r\\nHost: boxd\\r\\nConnection: close\\r\\n\\r\\n' >&3; head -n 1 <&3"

async function says(output: Readable, word: string): Promise<boolean> {
  for await (const line of createInterface({ input: output })) if (line.includes(word)) return true
  return false
}

async function acceleratorOf(cache: string): Promise<Accelerator> {
  const known = await readFile(join(cache, 'accelerator.json'), 'utf8').catch(() => '')
  if (known.includes('"kvm"')) return { name: 'kvm' }
  const mhz = /^cpu MHz\s*:\s*([\d.]+)/m.exec(await readFile('/proc/cpuinfo', 'utf8'))?.[1]
  return { name: 'tcg', tscKhz: Math.round(Number(mhz) * 1000) }
}
