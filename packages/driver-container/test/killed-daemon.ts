import { createHostKit } from '@gibil/hostkit-client'
import { createContainerDriver } from '../src/driver.ts'
import { run } from './boxd-call.ts'
import { boxSpec } from './rig.ts'

/** A daemon for failpoints.test.ts: does one verb and kills itself with SIGKILL at the named step of it. */

const given = JSON.parse(process.argv[2] ?? '{}')
const hostkit = createHostKit({ binary: given.hostkit })
let armed = false
const driver = createContainerDriver({
  home: given.home,
  boxdBinary: given.boxd,
  hostkit,
  log: () => undefined,
  async step(name) {
    if (!armed || name !== given.name) return
    process.kill(process.pid, 'SIGKILL')
    await new Promise(() => undefined)
  },
})
const spec = boxSpec(given.rootfs, 'box')
await driver.open()
if (given.verb !== 'create') {
  await driver.create(spec)
  await run(driver, 'box', 'echo kept > /file && sync')
}
if (given.verb === 'start') await driver.stop('box', 1000)
if (given.verb === 'restore') {
  await driver.snapshot?.('box', { id: 'saved', kind: 'disk' })
  await run(driver, 'box', 'echo changed > /file && sync')
}
armed = true
if (given.verb === 'snapshot') await driver.snapshot?.('box', { id: 'saved', kind: 'disk' })
if (given.verb === 'restore') await driver.restore?.(spec, 'saved')
if (given.verb === 'create') await driver.create(spec)
if (given.verb === 'adapt') await driver.adapt?.(boxSpec(given.rootfs, 'box', { hostname: 'asked', network: 'lan' }))
if (given.verb === 'start') await driver.start(spec)
if (given.verb === 'stop') await driver.stop('box', 1000)
if (given.verb === 'destroy') await driver.destroy('box')
throw new Error(`${given.verb} never came to ${given.name}`)
