import { execFile } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { enforce } from './admission.ts'
import { makeLinks, namesFor, removeLinks } from './links.ts'
import { answersFor, type MachineAnswers } from './metadata.ts'
import type { MachineSpec, Machines } from './port.ts'
import { command, endNoted, running, startNoted } from './processes.ts'

const exec = promisify(execFile)

export interface QemuOptions {
  /** Where disks, consoles and notes of machines are kept. */
  readonly dir: string
  /**
   * One directory for each image, by its name: `disk.qcow2`, and `vmlinuz` and `initrd` when the disk does not boot by itself.
   * cloud-init in it finds out by itself that it is at Hetzner.
   */
  readonly images: string
  /** MiB that a machine has at most, whatever its server type; by default 1024. */
  readonly mostMemoryMib?: number | undefined
}

const responder = join(import.meta.dirname, 'responder.ts')
const watchMs = 500

/**
 * Real machines: QEMU, each in a network namespace of its own, whose cloud-init takes its way for Hetzner (SMBIOS, DHCP, metadata).
 * Needs root, QEMU and iproute2. They have the processors of the host at most.
 */
export function qemuMachines({ dir, images, mostMemoryMib = 1024 }: QemuOptions): Machines {
  const names = namesFor(dir)
  const place = (id: number) => {
    const own = join(dir, 'machines', String(id))
    const within = (name: string): string => join(own, name)
    return {
      ...{ own, disk: within('disk.qcow2'), kernel: within('vmlinuz'), initrd: within('initrd') },
      ...{ qemu: within('qemu.json'), responder: within('responder.json'), answers: within('answers.json') },
      ...{ monitor: within('monitor.sock'), log: within('qemu.log') },
    }
  }
  const imageDir = (image: MachineSpec['image']): string =>
    image.name === null ? join(dir, 'snapshots', String(image.id)) : join(images, image.name)
  let tell: (id: number) => void = () => undefined
  const up = new Set<number>()

  const end = async (id: number): Promise<void> => {
    up.delete(id)
    await endNoted(place(id).qemu)
    await endNoted(place(id).responder)
    await removeLinks(names.of(id))
  }

  const watch = setInterval(async () => {
    for (const id of up) {
      if ((await running(place(id).qemu)) !== undefined || !up.delete(id)) continue
      await end(id)
      tell(id)
    }
  }, watchMs)
  watch.unref()

  return {
    freeIpv4: names.freeIpv4,
    async boot(spec) {
      const { id, ipv4 } = spec
      const at = place(id)
      if (spec.architecture !== 'x86') throw new Error('machines of this architecture cannot be booted here')
      if (ipv4 === null) throw new Error('machines without a public IPv4 cannot be booted here')
      await end(id)
      if (!existsSync(at.disk)) await makeDisk(imageDir(spec.image), spec.image.name === null, at.own, spec.disk)
      const answers = answersFor({ ...spec, ipv4 })
      await writeFile(at.answers, JSON.stringify(answers), { mode: 0o600 })
      await makeLinks(names.of(id), ipv4)
      await enforce(names.of(id).namespace, spec.inbound)
      const inside = ['ip', 'netns', 'exec', names.of(id).namespace]
      await startNoted(at.responder, join(at.own, 'responder.log'), [
        ...inside,
        process.execPath,
        responder,
        at.answers,
      ])
      const memory = Math.min(spec.memory * 1024, mostMemoryMib)
      await startNoted(at.qemu, at.log, [...inside, ...qemuArgs(spec, answers, at, memory)])
      up.add(id)
    },
    powerOff: end,
    shutdown: (id) => command(place(id).monitor, 'system_powerdown'),
    reset: (id) => command(place(id).monitor, 'system_reset'),
    async remove(id) {
      await end(id)
      await rm(place(id).own, { recursive: true, force: true })
    },
    async admit(id, inbound) {
      if (!up.has(id)) return
      await enforce(names.of(id).namespace, inbound).catch((error) => {
        // It ended in between.
        if (up.has(id)) throw error
      })
    },
    async image(id, image) {
      const at = place(id)
      const target = imageDir({ id: image, name: null })
      await mkdir(target, { recursive: true, mode: 0o700 })
      // What runs is copied as it lies on the disk, as at Hetzner: whoever wants it whole turns the server off first.
      const disk = join(target, 'disk.qcow2')
      await exec('qemu-img', ['convert', '-U', '-O', 'qcow2', at.disk, disk])
      await copyKernel(at.own, target)
      return Math.max(0.01, Math.ceil(((await stat(disk)).size / 2 ** 30) * 100) / 100)
    },
    removeImage: (image) => rm(imageDir({ id: image, name: null }), { recursive: true, force: true }),
    async isRunning(id) {
      const runs = (await running(place(id).qemu)) !== undefined
      if (runs) up.add(id)
      else await end(id)
      return runs
    },
    onOff(listener) {
      tell = listener
    },
    async close() {
      clearInterval(watch)
    },
  }
}

/** A disk of its own: on top of an image that stays as it is, but a copy of a snapshot, which may be deleted. */
async function makeDisk(image: string, isSnapshot: boolean, own: string, gigabytes: number): Promise<void> {
  const base = join(image, 'disk.qcow2')
  if (!existsSync(base)) throw new Error(`there is no ${base}`)
  await mkdir(own, { recursive: true, mode: 0o700 })
  const disk = join(own, 'disk.qcow2')
  if (isSnapshot) {
    await copyFile(base, disk, constants.COPYFILE_FICLONE)
    await exec('qemu-img', ['resize', '-q', disk, `${gigabytes}G`])
  } else await exec('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', disk, `${gigabytes}G`])
  await copyKernel(image, own)
}

async function copyKernel(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (name === 'vmlinuz' || name === 'initrd') await copyFile(join(from, name), join(to, name))
  }
}

interface Place {
  readonly disk: string
  readonly kernel: string
  readonly initrd: string
  readonly monitor: string
}

/**
 * The counter of an emulated processor is the host's, which is right. Left to test it the kernel may find on a busy host that it is not, and then takes a clock that costs
 * so much under emulation that a boot comes to its time limits. And nobody attacks an emulator through what a processor speculates.
 */
const commandLine = 'root=/dev/vda rw console=ttyS0 net.ifnames=0 tsc=reliable mitigations=off'

function qemuArgs(spec: MachineSpec, answers: MachineAnswers, at: Place, memoryMib: number): string[] {
  const direct = ['-kernel', at.kernel, '-initrd', at.initrd, '-append', commandLine]
  return [
    ...['qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max,la57=off'],
    ...['-smp', String(Math.min(spec.cores, cpus().length)), '-m', `${memoryMib}M`],
    // By these cloud-init knows where it is.
    ...['-smbios', `type=1,manufacturer=Hetzner,product=vServer,serial=${spec.id}`],
    ...(existsSync(at.kernel) ? direct : []),
    ...['-drive', `file=${at.disk.replaceAll(',', ',,')},if=virtio,format=qcow2,discard=unmap`],
    ...['-netdev', 'tap,id=public,ifname=vm0,script=no,downscript=no'],
    ...['-device', `virtio-net-pci,netdev=public,mac=${answers.mac},romfile=`, '-device', 'virtio-rng-pci'],
    ...['-qmp', `unix:${at.monitor.replaceAll(',', ',,')},server=on,wait=off`],
    // The last of what it prints, in memory: it must not fill the host.
    ...['-chardev', 'ringbuf,id=console,size=65536', '-serial', 'chardev:console', '-display', 'none', '-nodefaults'],
    // It needs nothing of root once it has opened its files.
    ...['-runas', 'nobody', '-sandbox', 'on,obsolete=deny,spawn=deny,resourcecontrol=deny'],
  ]
}
