import type { Size } from '@gibil/contract'
import { shutdownTrace } from './ending.ts'
import type { Guest } from './initrd.ts'
import type { MachineModel } from './model.ts'

/** How the processor is emulated. `tcg` works everywhere; it is told how fast the host's time stamp counter counts, in kHz. */
export type Accelerator = { readonly name: 'kvm' } | { readonly name: 'tcg'; readonly tscKhz: number }

export interface MachineInput {
  readonly model: MachineModel
  readonly qemu: string
  readonly guest: Guest
  readonly accelerator: Accelerator
  readonly size: Size
  /** Disk in qcow2 format. */
  readonly disk: string
  /** Unix socket on which the serial line is heard. */
  readonly console: string
  /** User and group id that QEMU has once it has opened everything. */
  readonly uid: number
  /** Waits for a state to be loaded instead of booting. */
  readonly incoming: boolean
  /** It boots and then leaves its disk alone until that says that it is filled: boxd/internal/guest/wait.go. */
  readonly waits?: boolean
}

/** Descriptors that hostkit's launch leaves the program: hostkit/PROTOCOL.md. */
const monitorFd = 3
const controlFd = 4
const boxFd = 5
/** Of the files of a saved machine. */
export const stateFd = 6
export const memoryFd = 7

/** By these boxd tells the two links apart: boxd/internal/guest/link.go. */
const controlMac = '02:67:69:62:69:01'
const boxMac = '02:67:69:62:69:02'

/** What QEMU may keep of translated code, in MiB; counts as the box's memory on the host. */
export const codeCacheMib = 256

/** The part of the command line that says which machine it is: the same for the probe, the frozen one and every box. */
export function machineArgs(model: MachineModel, accelerator: Accelerator, cpus: number): string[] {
  const tcg = accelerator.name === 'tcg'
  return [
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    // A machine that restarts itself is a box that has ended.
    '-no-reboot',
    '-sandbox',
    // Not elevateprivileges: QEMU gives up root itself once it has opened its files, and without execve there is no way back.
    'on,obsolete=deny,spawn=deny,resourcecontrol=deny',
    '-machine',
    model.machine,
    '-accel',
    tcg ? `tcg,thread=multi,tb-size=${codeCacheMib}` : 'kvm',
    // Five levels of page tables only cost time here.
    '-cpu',
    tcg ? 'max,la57=off' : 'host',
    '-smp',
    String(cpus),
  ]
}

/**
 * The kernel's command line. Without KVM nothing in the machine `microvm` tells the kernel how fast its clock is: Debian's kernel has no
 * other way to find its devices than ACPI, and with this machine's ACPI it uses no timer that it could measure by.
 */
export function kernelCommandLine(model: Pick<MachineModel, 'commandLine'>, accelerator: Accelerator): string {
  // Without AppArmor, on which Docker runs nothing where its tools are not.
  const always = ['console=ttyS0', 'loglevel=3', 'panic=-1', 'edd=off', 'lsm=landlock,yama', ...model.commandLine]
  const emulated = accelerator.name === 'tcg' ? [...counterOf(accelerator.tscKhz), ...lessToTranslate] : []
  return [...always, ...emulated].join(' ')
}

/**
 * The emulator shows the host's counter, which is the same on all processors; left to test that on emulated ones, the kernel would find it
 * unsteady and count its own ticks, of which it misses many.
 */
const counterOf = (tscKhz: number): string[] => [`tsc_early_khz=${tscKhz}`, 'tsc=reliable']

/** Under emulation a copy of a frozen machine takes as long as it has code to run for the first time: ADR 20. The last two are for boxd. */
const lessToTranslate = [
  // Guests of an emulator cannot be attacked through what a processor speculates.
  'mitigations=off',
  // What is translated is found again by its address: each start of a program would otherwise have its libraries translated anew.
  'norandmaps',
  // The emulator's pages have 4 KiB whatever the guest's have, and a box would take 2 MiB where it needs a few bytes.
  'transparent_hugepage=never',
  'psi=0',
  'audit=0',
  'GODEBUG=asyncpreemptoff=1',
  'GOMAXPROCS=1',
]

export const cpusOf = (size: Size): number => Math.max(1, Math.ceil(size.cpu))

export function qemuArgs(input: MachineInput): string[] {
  const { accelerator, guest, model, size } = input
  const device = (kind: string, options = ''): string[] => ['-device', `virtio-${kind}-${model.bus}${options}`]
  // Without a file to boot from the network with.
  const link = (name: string, mac: string): string[] =>
    device('net', `,netdev=${name},mac=${mac}${model.bus === 'pci' ? ',romfile=' : ''}`)
  const commandLine = [kernelCommandLine(model, accelerator), ...(input.waits ? ['gibil.wait'] : [])].join(' ')
  return [
    input.qemu,
    ...machineArgs(model, accelerator, cpusOf(size)),
    '-machine',
    'memory-backend=ram',
    '-m',
    `${size.memoryMib}M`,
    '-object',
    // Never used: hostkit replaces it before the guest runs. It is there so that QEMU leaves memory out of what it saves.
    `memory-backend-memfd,id=ram,size=${size.memoryMib}M,share=on`,
    // A machine that goes on has its kernel in its memory: reading it again would cost 14 MiB.
    ...(input.incoming ? model.firmware : ['-kernel', guest.kernel, '-initrd', guest.initrd, '-append', commandLine]),
    '-runas',
    `${input.uid}:${input.uid}`,
    '-chardev',
    `socket,id=monitor,fd=${monitorFd},server=on,wait=off`,
    '-mon',
    'chardev=monitor,mode=control',
    // What nobody listens to is dropped: what a guest prints must not fill the host.
    '-chardev',
    `socket,id=console,path=${input.console.replaceAll(',', ',,')},server=on,wait=off`,
    '-serial',
    'chardev:console',
    '-blockdev',
    JSON.stringify({
      driver: 'qcow2',
      'node-name': 'root',
      discard: 'unmap',
      'detect-zeroes': 'unmap',
      file: { driver: 'file', filename: input.disk },
    }),
    // Without room on the host the machine stands still and nothing is lost: out-of-room.ts.
    ...device('blk', ',drive=root,werror=enospc'),
    '-blockdev',
    JSON.stringify({
      driver: 'raw',
      'node-name': 'modules',
      'read-only': true,
      file: { driver: 'file', filename: guest.moduleDisk },
    }),
    // Read a little and seldom: it needs no queue for each processor.
    ...device('blk', ',drive=modules,num-queues=1,queue-size=16'),
    '-netdev',
    `tap,id=control,fd=${controlFd}`,
    ...link('control', controlMac),
    '-netdev',
    `tap,id=box,fd=${boxFd}`,
    ...link('box', boxMac),
    ...device('rng'),
    '-trace',
    `enable=${shutdownTrace}`,
    '-S',
    ...(input.incoming ? ['-incoming', 'defer'] : []),
  ]
}
