import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkCgroups, checkKernel } from './kernel.ts'

describe('the kernel check', () => {
  it.each([
    ['6.1.0-28-amd64', 'ok'],
    ['5.19.0', 'ok'],
    ['5.15.0-130-generic', 'fail'],
    ['4.19.0', 'fail'],
  ])('%s is %s', (version, state) => {
    const check = checkKernel(version)
    expect(check.state).toBe(state)
    expect(check.mend === undefined).toBe(state === 'ok')
  })
})

describe('the cgroup check', () => {
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'gibil-cgroup-'))
  })
  afterEach(() => rm(root, { recursive: true }))

  it('reads version 2 controllers', async () => {
    await writeFile(join(root, 'cgroup.controllers'), 'cpuset cpu io memory pids\n')
    expect(await checkCgroups(root)).toMatchObject({ state: 'ok', detail: expect.stringContaining('version 2') })
  })

  it('names what version 2 lacks', async () => {
    await writeFile(join(root, 'cgroup.controllers'), 'cpu pids\n')
    expect(await checkCgroups(root)).toMatchObject({ state: 'fail', detail: 'version 2 lacks memory' })
  })

  it('finds version 1 hierarchies and what they lack', async () => {
    for (const name of ['cpu', 'memory', 'pids']) {
      await mkdir(join(root, name))
      await writeFile(join(root, name, 'tasks'), '')
    }
    expect(await checkCgroups(root)).toMatchObject({ state: 'fail', detail: 'version 1 lacks freezer' })
    await mkdir(join(root, 'freezer'))
    await writeFile(join(root, 'freezer/tasks'), '')
    expect(await checkCgroups(root)).toMatchObject({ state: 'ok' })
  })
})
