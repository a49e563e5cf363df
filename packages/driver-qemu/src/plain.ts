import { spawn } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError, type Size } from '@gibil/contract'
import type { ResolvedImage } from '@gibil/core'
import { isUp, type Log, lastLine, locate, readIfThere, readPid, runTool } from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'
import { createConsoles } from './console.ts'
import { fitQemu, machineryOnce } from './machinery.ts'
import { type MachineModel, machineryDir, namesOf, vm } from './model.ts'
import { cpusOf, kernelCommandLine, machineArgs } from './qemu-args.ts'
import { openMonitor } from './qmp.ts'
import { createRootDisks } from './root-disk.ts'

/**
 * Machines with the guest's kernel and an image, and nothing of ours in them: no boxd, no identity, no network but what is in the network namespace that they are given.
 * What is needed to stand behind the API of a cloud.
 */
export interface PlainMachines {
  /** Makes a disk (qcow2) of that image, in MiB as large as it is to look. */
  disk(path: string, image: ResolvedImage, sizeMib: number): Promise<void>
  /** Starts a machine and returns before it has booted. It runs on when this process ends. Throws `driver_failed`. */
  boot(spec: PlainSpec): Promise<PlainMachine>
  /** One that an earlier process started in that directory, if it runs. */
  find(directory: string): Promise<PlainMachine | undefined>
  /** Lets go of the consoles; machines run on. */
  close(): void
}

export interface PlainSpec {
  /** Of its own, kept as long as it runs: sockets and process id. Its path has less than 90 bytes. */
  readonly directory: string
  readonly size: Size
  /** In qcow2 format. */
  readonly disk: string
  /** Another one, raw and read-only: a NoCloud seed, labelled CIDATA. */
  readonly seed?: string | undefined
  /** Name of a network namespace, as of ip-netns(8), in which the tap device is. */
  readonly netns: string
  readonly tap: string
  readonly mac: string
  /** What the firmware says of the maker (type 1 of SMBIOS): by it cloud-init knows where it is. */
  readonly smbios: { readonly manufacturer: string; readonly product: string; readonly serial: string }
}

export interface PlainMachine {
  readonly pid: number
  isUp(): Promise<boolean>
  /** Presses its power button: an init that listens then ends the machine. */
  powerDown(): Promise<void>
  reset(): Promise<void>
  /** Ends it as if the power were cut. */
  kill(): Promise<void>
  /** The end of what it printed on its serial line since this process knows of it. Hostile text. */
  console(): string
}

interface PlainDeps {
  /** What is kept of images and of the guest's kernel is shared with the boxes of this home. */
  readonly home: string
  readonly boxdBinary: string
  readonly hostkit: HostKit
  readonly log: Log
  readonly cacheDir?: string | undefined
}

const startMs = 60_000

/** boxd is there to mount the disk, and not afterwards. */
const plain: Pick<MachineModel, 'commandLine'> = {
  commandLine: ['gibil.init=/sbin/init', 'gibil.plain', 'net.ifnames=0', 'systemd.show_status=false'],
}

/** Throws `needs_root`, `host_unfit`, `missing_tool`. */
export function openPlainMachines(deps: PlainDeps): PlainMachines {
  const { home, hostkit } = deps
  const names = namesOf(vm, home)
  const qemu = fitQemu(vm.shape)
  const disks = createRootDisks({ names, hostkit, run: runTool })
  const machinery = machineryOnce({ ...deps, qemu, cacheDir: deps.cacheDir ?? machineryDir(home) })
  const consoles = createConsoles()
  const machineAt = (directory: string, pid: number): PlainMachine => {
    const ask = async (command: string): Promise<void> => {
      const monitor = await openMonitor(join(directory, 'qmp.sock'))
      try {
        await monitor.run(command)
      } finally {
        monitor.close()
      }
    }
    consoles.listen(directory, join(directory, 'console.sock'))
    return {
      pid,
      isUp: () => isUp(pid),
      powerDown: () => ask('system_powerdown'),
      reset: () => ask('system_reset'),
      // A socket of its own directory, so nobody else is ended where the process id has become another's.
      kill: () => ask('quit').catch(() => undefined),
      console: () => consoles.text(directory),
    }
  }
  return {
    async disk(path, image, sizeMib) {
      await disks.overlay(path, await disks.base(image), sizeMib)
    },
    async boot(spec) {
      const { directory } = spec
      const { guest, accelerator } = await machinery()
      await mkdir(directory, { recursive: true, mode: 0o700 })
      for (const name of ['pid', 'qmp.sock', 'console.sock']) await rm(join(directory, name), { force: true })
      const ip = locate('ip')
      if (ip === undefined) throw new GibilError('missing_tool', 'Machines need `ip`, of the package iproute2.')
      const file = (name: string, path: string, driver: string, readOnly: boolean): string[] => [
        ...['-blockdev', JSON.stringify(blockdev(name, path, driver, readOnly))],
        ...['-device', `virtio-blk-pci,drive=${name}`],
      ]
      const escaped = (text: string): string => text.replaceAll(',', ',,')
      const { manufacturer, product, serial } = spec.smbios
      const argv = [
        ...['netns', 'exec', spec.netns, qemu],
        ...machineArgs(vm, accelerator, cpusOf(spec.size)),
        // As a server of a cloud does.
        ...['-action', 'reboot=reset', '-pidfile', join(directory, 'pid')],
        ...['-m', `${spec.size.memoryMib}M`],
        ...['-kernel', guest.kernel, '-initrd', guest.initrd, '-append', kernelCommandLine(plain, accelerator)],
        ...[
          '-smbios',
          `type=1,manufacturer=${escaped(manufacturer)},product=${escaped(product)},serial=${escaped(serial)}`,
        ],
        ...['-qmp', `unix:${escaped(join(directory, 'qmp.sock'))},server=on,wait=off`],
        ...['-chardev', `socket,id=console,path=${escaped(join(directory, 'console.sock'))},server=on,wait=off`],
        ...['-serial', 'chardev:console'],
        ...file('root', spec.disk, 'qcow2', false),
        ...file('modules', guest.moduleDisk, 'raw', true),
        ...(spec.seed === undefined ? [] : file('seed', spec.seed, 'raw', true)),
        ...['-netdev', `tap,id=net,ifname=${spec.tap},script=no,downscript=no`],
        ...['-device', `virtio-net-pci,netdev=net,mac=${spec.mac},romfile=`],
        ...['-device', 'virtio-rng-pci'],
      ]
      const log = join(directory, 'qemu.log')
      const output = await open(log, 'w', 0o600)
      let ended = false
      try {
        const child = spawn(ip, argv, { stdio: ['ignore', output.fd, output.fd], detached: true })
        child.once('exit', () => {
          ended = true
        })
        child.unref()
      } finally {
        await output.close()
      }
      const pid = await greeted(directory, () => ended)
      if (pid === undefined) {
        const said = lastLine((await readIfThere(log)) ?? '')
        throw new GibilError('driver_failed', `A machine could not be started: ${said}`)
      }
      return machineAt(directory, pid)
    },
    async find(directory) {
      const pid = await readPid(join(directory, 'pid'))
      const command = pid === undefined ? undefined : await readIfThere(`/proc/${pid}/cmdline`)
      return pid !== undefined && command?.includes(directory) ? machineAt(directory, pid) : undefined
    },
    close: () => consoles.close(),
  }
}

/** The process id of a machine whose monitor answers; undefined when it ends before. */
async function greeted(directory: string, hasEnded: () => boolean): Promise<number | undefined> {
  for (const deadline = performance.now() + startMs; !hasEnded() && performance.now() < deadline; await sleep(20)) {
    const monitor = await openMonitor(join(directory, 'qmp.sock')).catch(() => undefined)
    if (monitor === undefined) continue
    monitor.close()
    return readPid(join(directory, 'pid'))
  }
  return undefined
}

const blockdev = (name: string, filename: string, driver: string, readOnly: boolean): object => ({
  driver,
  'node-name': name,
  'read-only': readOnly,
  ...(driver === 'qcow2' ? { discard: 'unmap', 'detect-zeroes': 'unmap' } : {}),
  file: { driver: 'file', filename },
})
