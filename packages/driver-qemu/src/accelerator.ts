import { constants } from 'node:fs'
import { access, mkdir, stat } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { type Log, parseJson, readIfThere, writeWhole } from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'
import { execa } from 'execa'
import * as z from 'zod'
import type { Guest } from './initrd.ts'
import { microvm } from './model.ts'
import { type Accelerator, kernelCommandLine, machineArgs } from './qemu-args.ts'

/** With KVM that works the guest comes so far in under a second; where it does not work, it never does. */
const bootLimitMs = 15_000
/** What boxd says as the first program of a machine that was booted to see whether it boots. */
const sign = 'gibil: boots'

const remembered = z.object({ key: z.string(), accelerator: z.enum(['kvm', 'tcg']) })

/** What was found out before, for whoever shows it. */
export function rememberedAccelerator(text: string | undefined): 'kvm' | 'tcg' | undefined {
  const known = remembered.safeParse(parseJson(text ?? ''))
  return known.success ? known.data.accelerator : undefined
}

/** Whether guests are emulated, as far as is known: null until KVM, where there is one, was tried. */
export async function isEmulated(cacheDir: string): Promise<boolean | null> {
  if (!(await opens('/dev/kvm'))) return true
  const known = rememberedAccelerator(await readIfThere(join(cacheDir, 'accelerator.json')))
  return known === undefined ? null : known === 'tcg'
}

interface AcceleratorDeps {
  readonly qemu: string
  readonly guest: Guest
  readonly cacheDir: string
  readonly hostkit: Pick<HostKit, 'hostTsc'>
  readonly log: Log
}

/**
 * KVM where it really boots our guest, else QEMU's own emulation. That /dev/kvm opens proves little: on some hosts a stock kernel hangs at its
 * first instructions. So it is booted, once: the answer is kept until the guest, QEMU or the host's kernel changes.
 */
export async function chooseAccelerator(deps: AcceleratorDeps): Promise<Accelerator> {
  const name = await knownOrProbed(deps)
  return name === 'kvm' ? { name } : { name, tscKhz: (await deps.hostkit.hostTsc()).khz }
}

async function knownOrProbed({ qemu, guest, cacheDir, log }: AcceleratorDeps): Promise<'kvm' | 'tcg'> {
  if (!(await opens('/dev/kvm'))) return 'tcg'
  const file = join(cacheDir, 'accelerator.json')
  const { size, mtimeMs } = await stat(qemu)
  const key = [release(), guest.id, qemu, size, mtimeMs].join(' ')
  const known = remembered.safeParse(parseJson((await readIfThere(file)) ?? ''))
  if (known.success && known.data.key === key) return known.data.accelerator
  const begun = performance.now()
  const accelerator = (await bootsWithKvm(qemu, guest)) ? 'kvm' : 'tcg'
  log('info', 'tried whether KVM works', { accelerator, ms: Math.round(performance.now() - begun) })
  await mkdir(cacheDir, { recursive: true, mode: 0o700 })
  await writeWhole(file, `${JSON.stringify({ key, accelerator })}\n`, { durable: false })
  return accelerator
}

async function bootsWithKvm(qemu: string, guest: Guest): Promise<boolean> {
  const kvm = { name: 'kvm' } as const
  const boot = [
    '-kernel',
    guest.kernel,
    '-initrd',
    guest.initrd,
    '-append',
    `${kernelCommandLine(microvm, kvm)} gibil.probe`,
  ]
  const run = await execa(qemu, [...machineArgs(microvm, kvm, 1), '-m', '256', ...boot, '-serial', 'stdio'], {
    stdin: 'ignore',
    timeout: bootLimitMs,
    forceKillAfterDelay: 500,
    reject: false,
    maxBuffer: 1024 * 1024,
  })
  return run.stdout?.includes(sign) ?? false
}

const opens = (path: string): Promise<boolean> =>
  access(path, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
