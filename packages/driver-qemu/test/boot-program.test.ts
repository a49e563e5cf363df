import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DriverSpec } from '@gibil/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import { openWorld, type World } from './world.ts'

const bootMs = 240_000
const counts = `#!/bin/sh
sleep 1
hostname >> /boots
sleep 1000 &
`
const fails = '#!/bin/sh\necho no reason\nexit 7\n'

describe('what an image has run at boot', { timeout: bootMs }, () => {
  let world: World
  let layers: string
  beforeAll(async () => {
    world = await openWorld()
    layers = await mkdtemp(join(tmpdir(), 'gibil-boot-program-'))
  })
  afterAll(async () => {
    await rm(layers, { recursive: true, force: true })
    expect(await world.end()).toEqual([])
  }, bootMs)

  /** An image that is that of the other tests and a boot program. */
  async function specWith(id: string, program: string): Promise<DriverSpec> {
    const layer = join(layers, id)
    await mkdir(join(layer, 'etc/gibil'), { recursive: true })
    await writeFile(join(layer, 'etc/gibil/boot'), program)
    await chmod(join(layer, 'etc/gibil/boot'), 0o755)
    const spec = world.spec(id)
    return { ...spec, image: { ...spec.image, digest: `sha256:${id}`, layers: [layer, ...spec.image.layers] } }
  }

  it('is over before the box is handed out, once in each boot, and what it started goes on', async () => {
    const spec = await specWith('booter', counts)
    await world.driver.create(spec)
    expect(await world.run('booter', 'cat /boots; ps')).toMatch(/^frozen\n[\s\S]*sleep 1000/)
    expect(await world.boxd('booter').listJobs()).toHaveLength(1)
    await world.driver.stop('booter', 2000)
    await world.driver.start(spec)
    expect(await world.run('booter', 'cat /boots')).toBe('frozen\nbooter\n')
    expect(world.logged.filter((line) => line.startsWith('warn'))).toEqual([])
  })

  it.runIf(full)('may fail, which is logged: the box is one all the same and has the output', async () => {
    await world.driver.create(await specWith('sad', fails))
    expect(await world.run('sad', 'hostname')).toBe('sad\n')
    expect(world.logged.find((line) => line.includes('boot program'))).toMatch(/^warn .*failed.*no reason/)
    const [job] = await world.boxd('sad').listJobs()
    expect(job).toMatchObject({ label: 'boot', user: 'root', exit: { exitCode: 7 } })
  })

  it('can load any module of its kernel, and not change them', async () => {
    await expect(world.run('booter', 'grep overlay /proc/filesystems')).rejects.toThrow()
    await world.run('booter', 'modprobe overlay && grep overlay /proc/filesystems')
    await world.run('booter', 'test -s /lib/modules/$(uname -r)/modules.dep')
    await expect(world.run('booter', 'touch /lib/modules/x')).rejects.toThrow(/[Rr]ead-only/)
  })
})
