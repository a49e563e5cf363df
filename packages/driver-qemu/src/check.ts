import { join } from 'node:path'
import type { HostCheck } from '@gibil/contract'
import { locate, namesIn, readIfThere } from '@gibil/host'
import { rememberedAccelerator } from './accelerator.ts'
import { emulator } from './machinery.ts'
import { microvmNames } from './names.ts'

/** Looks at what microvms and full VMs need, which is the same, changing nothing. None of it is required: containers do without. */
export async function checkMicrovmHost(options: { readonly home: string }): Promise<HostCheck[]> {
  const { cacheDir } = microvmNames(options.home)
  return Promise.all([checkEmulator(), checkKernel(cacheDir), checkAccelerator(cacheDir)])
}

const row = (name: string, ok: boolean, detail: string, mend: string): HostCheck => ({
  name: `microvm ${name}`,
  ok,
  required: false,
  detail,
  mend,
})

async function checkEmulator(): Promise<HostCheck> {
  if (process.arch !== 'x64') {
    return row('emulator', false, `not on ${process.arch} yet`, 'Use a host of x86-64 for microvms.')
  }
  const path = locate(emulator)
  const detail = path ?? `${emulator} is not installed`
  return row('emulator', path !== undefined, detail, './gibil up --shape microvm')
}

async function checkKernel(cacheDir: string): Promise<HostCheck> {
  const kernels = (await namesIn(join(cacheDir, 'kernel'))).filter((name) => /^\d/.test(name))
  return row('kernel', true, kernels.length > 0 ? kernels.join(', ') : 'fetched for the first box', '')
}

async function checkAccelerator(cacheDir: string): Promise<HostCheck> {
  const known = rememberedAccelerator(await readIfThere(join(cacheDir, 'accelerator.json')))
  const details = {
    kvm: 'KVM boots the guest',
    tcg: 'KVM does not boot the guest here: microvms and full VMs run on QEMU’s own emulation, several times slower',
  }
  return known === undefined
    ? row('acceleration', true, 'tried at the first box', '')
    : row(
        'acceleration',
        known === 'kvm',
        details[known],
        'Use a host with (nested) hardware virtualisation for speed.',
      )
}
