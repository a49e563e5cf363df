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
