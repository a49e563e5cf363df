import { GibilError, type Shape } from '@gibil/contract'
import { type Log, locate } from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'
import { chooseAccelerator } from './accelerator.ts'
import type { Machinery } from './context.ts'
import { provideKernel } from './guest-kernel.ts'
import { provideGuest } from './initrd.ts'

/** The emulator of Debian's package qemu-system-x86. */
export const emulator = 'qemu-system-x86_64'

interface MachineryDeps {
  readonly qemu: string
  readonly cacheDir: string
  readonly boxdBinary: string
  readonly hostkit: Pick<HostKit, 'hostTsc'>
  readonly log: Log
}

/** Throws `needs_root`, `host_unfit`, `missing_tool`. */
export function fitQemu(shape: Shape): string {
  if (process.geteuid?.() !== 0) {
    throw new GibilError('needs_root', `Boxes of the shape ${shape} need a daemon that runs as root.`)
  }
  if (process.arch !== 'x64') {
    throw new GibilError('host_unfit', `Boxes of the shape ${shape} need a host of x86-64, not ${process.arch}.`, {
      hint: 'Use the shape container on this machine.',
    })
  }
  const missing = [emulator, 'qemu-img', 'mke2fs'].find((program) => locate(program) === undefined)
  const qemu = locate(emulator)
  if (qemu === undefined || missing !== undefined) {
    throw new GibilError('missing_tool', `The shape ${shape} needs ${missing}, which is not installed.`, {
      hint: `Run \`./gibil up --shape ${shape}\` as root, or: apt-get install qemu-system-x86 qemu-utils e2fsprogs.`,
    })
  }
  return qemu
}

/** Found out at first need, since it may take a download and a boot; what failed is tried again. */
export function machineryOnce({ qemu, cacheDir, boxdBinary, hostkit, log }: MachineryDeps): () => Promise<Machinery> {
  let known: Promise<Machinery> | undefined
  const find = async (): Promise<Machinery> => {
    const guest = await provideGuest(cacheDir, await provideKernel(cacheDir), boxdBinary)
    return { qemu, guest, accelerator: await chooseAccelerator({ qemu, guest, cacheDir, hostkit, log }) }
  }
  return () => {
    const asked = known ?? find()
    known = asked
    asked.catch(() => {
      if (known === asked) known = undefined
    })
    return asked
  }
}
