import { join } from 'node:path'
import { type HomeNames, homeNames } from '@gibil/host'

/** What differs between the machines of the two shapes; all else is the same code. */
export interface MachineModel {
  readonly shape: 'microvm' | 'vm'
  /** QEMU's machine, with its options. */
  readonly machine: string
  /** How its devices are attached: by what the name of each kind of device ends in. */
  readonly bus: 'device' | 'pci'
  /**
   * What its firmware had in memory when it booted, to be there again where it goes on: without the kernel, whose loader this is, QEMU does not bring it
   * by itself.
   */
  readonly firmware: readonly string[]
  readonly commandLine: readonly string[]
  /** The image has an init of its own, with services that come up after boxd does. */
  readonly hasInit: boolean
  /** How long the guest may take until its boxd answers, under emulation on a busy host. */
  readonly bootMs: number
  /** How long it may take, after its processes have ended, to write its disk and power off. */
  readonly powerOffMs: number
  /** Its kernel, boxd and what always runs need about this much. */
  readonly leastMemoryMib: number
}

export const microvm: MachineModel = {
  shape: 'microvm',
  machine: 'microvm,x-option-roms=off,rtc=off',
  bus: 'device',
  firmware: [],
  commandLine: ['reboot=t'],
  hasInit: false,
  bootMs: 120_000,
  powerOffMs: 5000,
  leastMemoryMib: 192,
}

export const vm: MachineModel = {
  shape: 'vm',
  // The board of a server, without what no box uses: each device more is a driver that starts.
  machine: 'q35,vmport=off,smm=off,usb=off,sata=off,smbus=off,hpet=off,graphics=off',
  bus: 'pci',
  firmware: ['-option-rom', 'linuxboot_dma.bin'],
  commandLine: [
    // boxd/internal/guest/init.go: what boxd hands over to.
    'gibil.init=/sbin/init',
    // The link is eth0 in every shape.
    'net.ifnames=0',
    'systemd.show_status=false',
  ],
  hasInit: true,
  bootMs: 240_000,
  powerOffMs: 60_000,
  leastMemoryMib: 512,
}

/**
 * What the things of a shape are called on the host. Each has a corner of the home to itself, and to the names of subnets, links, cgroups and rules
 * that corner is a home of its own: so no driver takes boxes of another for remains of its own.
 */
export const namesOf = (model: MachineModel, home: string): HomeNames => homeNames(join(home, model.shape))

/** Where the guest's kernel is kept, and what was found out of the host: the same for both. */
export const machineryDir = (home: string): string => namesOf(microvm, home).cacheDir
