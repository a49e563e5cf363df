import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCgroups, homeNames, parseCgroupLayout, runTool } from '@gibil/host'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkHost } from '../src/check.ts'
import { chooseRuntime, type RuntimeDeps } from '../src/runtime.ts'
import { buildBinaries, leftovers, newHome } from './rig.ts'

let home: string
let deps: Omit<RuntimeDeps, 'candidates'>
const tried: string[] = []

beforeEach(async () => {
  home = await newHome()
  const names = homeNames(home)
  const layout = parseCgroupLayout(await readFile('/proc/self/mountinfo', 'utf8'))
  if (layout === undefined) throw new Error('this host has no cgroups')
  tried.length = 0
  deps = {
    names,
    layout,
    cgroups: createCgroups(layout, names.prefix),
    run: (file, args, input) => {
      if (args.includes('run')) tried.push(file)
      return runTool(file, args, input)
    },
    log: () => undefined,
    boxdBinary: (await buildBinaries()).boxd,
    openFiles: 1024,
  }
})
afterEach(async () => {
  expect(await leftovers(home)).toEqual([])
  await deps.cgroups.removeParent()
  await rm(deps.names.runDir, { recursive: true, force: true })
  await rm(home, { recursive: true, force: true })
})

/** A program that is installed, and refuses the host, as runtimes do with a cgroup layout that they do not know. */
async function refusingRuntime(): Promise<string> {
  await mkdir(home, { recursive: true })
  const path = join(home, 'refusing')
  await writeFile(path, '#!/bin/sh\necho "cgroups of this kind are not supported" >&2\nexit 1\n')
  await chmod(path, 0o755)
  return path
}

describe('the choice of a runtime', () => {
  it('falls on the first that runs a container, and is remembered until a runtime changes', async () => {
    const refusing = await refusingRuntime()
    const chosen = await chooseRuntime({ ...deps, candidates: [refusing, 'runc'] })
    expect(chosen).toMatch(/\/runc$/)
    expect(tried).toEqual([refusing, chosen])
    expect(await chooseRuntime({ ...deps, candidates: [refusing, 'runc'] })).toBe(chosen)
    expect(tried).toHaveLength(2)
    await writeFile(refusing, '#!/bin/sh\nexit 3\n')
    expect(await chooseRuntime({ ...deps, candidates: [refusing, 'runc'] })).toBe(chosen)
    expect(tried).toHaveLength(4)
  })

  it('says what each of them said when none works', async () => {
    const refusing = await refusingRuntime()
    await expect(chooseRuntime({ ...deps, candidates: [refusing] })).rejects.toMatchObject({
      code: 'host_unfit',
      message: expect.stringContaining('cgroups of this kind are not supported'),
    })
  })

  it('says what to install when there is none', async () => {
    await expect(chooseRuntime({ ...deps, candidates: ['no-such-runtime', '/no/such'] })).rejects.toMatchObject({
      code: 'missing_tool',
      hint: expect.stringContaining('apt-get install runc'),
    })
  })
})

it('finds this host fit, and says how to mend what is missing', async () => {
  const checks = await checkHost({ home })
  expect(checks.filter(({ ok, required }) => required && !ok)).toEqual([])
  expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length)
  const lacking = (await checkHost({ home, runtime: 'no-such-runtime' })).find(({ name }) => name === 'oci-runtime')
  expect(lacking).toMatchObject({ ok: false, required: true, mend: expect.stringContaining('apt-get install') })
})
