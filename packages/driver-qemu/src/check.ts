import { join } from 'node:path'
import type { HostCheck } from '@gibil/contract'
import { locate, namesIn, readIfThere } from '@gibil/host'
import { rememberedAccelerator } from './accelerator.ts'
import { frozenNames } from './frozen.ts'
import { emulator } from './machinery.ts'
import { type MachineModel, microvm, namesOf, vm } from './model.ts'
import { microvmNames } from './names.ts'

const models = [microvm, vm]

/** Looks at what microvms and full VMs need, which is the same, changing nothing. None of it is required: containers do without. */
export async function checkMicrovmHost(options: { readonly home: string }): Promise<HostCheck[]> {
  const { home } = options
  const { cacheDir } = microvmNames(home)
  return Promise.all([
    checkEmulator(),
    checkKernel(cacheDir),
    checkAccelerator(cacheDir),
    ...models.map((model) => checkFrozen(model, home)),
  ])
}

const row = (name: string, ok: boolean, detail: string, mend: string): HostCheck => ({
  name,
  ok,
  required: false,
  detail,
  mend,
})

async function checkEmulator(): Promise<HostCheck> {
  if (process.arch !== 'x64') {
    return row('microvm emulator', false, `not on ${process.arch} yet`, 'Use a host of x86-64 for microvms.')
  }
  const path = locate(emulator)
  const detail = path ?? `${emulator} is not installed`
  return row('microvm emulator', path !== undefined, detail, './gibil up --shape microvm')
}

async function checkKernel(cacheDir: string): Promise<HostCheck> {
  const kernels = (await namesIn(join(cacheDir, 'kernel'))).filter((name) => /^\d/.test(name))
  return row('microvm kernel', true, kernels.length > 0 ? kernels.join(', ') : 'fetched for the first box', '')
}

/** Without one the first box of each image and size boots. */
async function checkFrozen(model: MachineModel, home: string): Promise<HostCheck> {
  const names = await frozenNames(namesOf(model, home).cacheDir)
  const detail =
    names.length > 0
      ? `${names.length}, of an image and size each`
      : `made at the first box, or by ./gibil up --shape ${model.shape}`
  return row(`${model.shape} frozen machines`, true, detail, '')
}

async function checkAccelerator(cacheDir: string): Promise<HostCheck> {
  const known = rememberedAccelerator(await readIfThere(join(cacheDir, 'accelerator.json')))
  const details = {
    kvm: 'KVM boots the guest',
    tcg: 'KVM does not boot the guest here: microvms and full VMs run on QEMU’s own emulation, several times slower',
  }
  return known === undefined
    ? row('microvm acceleration', true, 'tried at the first box', '')
    : row(
        'microvm acceleration',
        known === 'kvm',
        details[known],
        'Use a host with (nested) hardware virtualisation for speed.',
      )
}
