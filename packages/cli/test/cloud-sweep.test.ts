import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, it } from 'vitest'
import { openCloud, specOf } from '../../../packages/driver-hetzner/test/support/cloud.ts'
import { root } from '../../../test/support/home.ts'

it('a sweep of a cloud needs the token alone: no daemon and no home', async () => {
  await using cloud = await openCloud()
  const [over, open] = [specOf({ deadline: 1000 }), specOf({ name: 'open', hostname: 'open' })]
  const driver = await cloud.openDriver()
  await driver.create(over)
  await driver.create(open)
  const sweep = async (token: string) => {
    const env = {
      GIBIL_HOME: '/nonexistent/home',
      HCLOUD_CONFIG: '/nonexistent/cli.toml',
      HCLOUD_ENDPOINT: cloud.sim.url,
      HCLOUD_TOKEN: token,
    }
    const args = ['sweep', '--provider', 'hetzner', '--json']
    const { exitCode, stdout } = await execa(join(root, 'gibil'), args, { env, reject: false })
    return { exitCode, result: JSON.parse(stdout) }
  }

  expect(await sweep('')).toMatchObject({ exitCode: 5, result: { error: { code: 'cloud_unauthorized' } } })
  expect(await sweep('x'.repeat(64))).toMatchObject({ exitCode: 5, result: { error: { code: 'cloud_unauthorized' } } })
  const swept = [{ id: over.id, name: 'work', deadline: 1000, failure: null }]
  expect(await sweep(cloud.sim.token)).toEqual({ exitCode: 0, result: { swept } })
  expect((await driver.found()).map(({ id }) => id)).toEqual([open.id])
  expect(await sweep(cloud.sim.token)).toEqual({ exitCode: 0, result: { swept: [] } })
  await driver.destroy(open.id)
  expect(cloud.left()).toEqual([])
})

it('a token is checked, kept where only its home can read it, and used by a sweep; nothing shows it', async () => {
  await using cloud = await openCloud()
  const driver = await cloud.openDriver()
  await driver.create(specOf({ deadline: 1000 }))
  const home = await mkdtemp(join(tmpdir(), 'gibil-init-'))
  const gibil = async (args: readonly string[], input = '') => {
    const env = { GIBIL_HOME: home, HCLOUD_CONFIG: '/nonexistent/cli.toml', HCLOUD_ENDPOINT: cloud.sim.url }
    const { exitCode, stdout, stderr } = await execa(join(root, 'gibil'), args, {
      env: { ...env, HCLOUD_TOKEN: '' },
      reject: false,
      input,
    })
    expect(stdout + stderr).not.toContain(cloud.sim.token)
    return { exitCode, stdout, stderr }
  }
  const init = ['init', '--hcloud-token', '-']
  const path = join(home, 'hetzner', 'token')
  try {
    expect((await gibil(init, 'x'.repeat(64))).stderr).toContain('refused')
    expect((await gibil(init, 'two words')).exitCode).toBe(2)
    expect((await gibil(['init', '--hcloud-token', 'argument'])).stderr).toContain('can be read by others')
    const fault = cloud.sim.faults.add({ kind: 'token', access: 'read' })
    expect((await gibil(init, cloud.sim.token)).stderr).toMatch(/Read & Write/)
    cloud.sim.faults.remove(fault)
    await expect(stat(path)).rejects.toThrow('ENOENT')

    const kept = await gibil(init, `${cloud.sim.token}\n`)
    expect(kept).toMatchObject({ exitCode: 0, stdout: '', stderr: expect.stringContaining('1 of them boxes of Gibil') })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(cloud.sim.state.project().ssh_keys.size).toBe(1)
    expect((await gibil(['sweep', '--provider', 'hetzner'])).exitCode).toBe(0)
    expect(cloud.left()).toEqual([])

    expect((await gibil(['init', '--hcloud-token', 'none'])).exitCode).toBe(0)
    await expect(stat(path)).rejects.toThrow('ENOENT')
  } finally {
    await rm(home, { recursive: true })
  }
})
