import { GibilError } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type StepName, steps } from '../src/index.ts'
import { openCloud, specOf, type TestCloud } from './support/cloud.ts'

let cloud: TestCloud
beforeEach(async () => {
  const tokens = [{ token: 'of-another-project', project: 'other' }, { token: 'another-of-the-same' }]
  cloud = await openCloud({ tokens })
})
afterEach(() => cloud[Symbol.asyncDispose]())

const posts = (path: string): number =>
  cloud.sim.requests.filter((one) => one.method === 'POST' && one.path.endsWith(path)).length

describe('an answer that is lost', () => {
  test.each([
    ['POST', '/servers'],
    ['POST', '/ssh_keys'],
    ['POST', '/firewalls'],
  ])('of %s %s: the thing is found by its name, and there is no second one', async (method, path) => {
    const driver = await cloud.openDriver()
    cloud.sim.faults.add({ kind: 'lost_answer', method, path, times: 1 })
    const spec = specOf()
    expect(await driver.create(spec)).toMatchObject({ status: 'running' })
    expect(posts(path)).toBe(1)
    expect(cloud.left().map((name) => name.split(' ')[0])).toEqual([
      ...['servers', 'ssh_keys', 'firewalls', 'primary_ips', 'primary_ips'],
    ])
    await driver.destroy(spec.id)
    expect(cloud.left()).toEqual([])
  })

  test('of a gateway that gave the request on', async () => {
    const driver = await cloud.openDriver()
    cloud.sim.faults.add({ kind: 'answer', method: 'POST', path: '/servers', status: 502, code: null, times: 1 })
    // Nothing was made here: it is not asked for a second time, and nothing is left.
    await expect(driver.create(specOf())).rejects.toMatchObject({ code: 'cloud_unreachable' })
    expect(posts('/servers')).toBe(1)
    expect(cloud.left()).toEqual([])
  })

  test('of a removal: it is looked for again', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf()
    await driver.create(spec)
    cloud.sim.faults.add({ kind: 'lost_answer', method: 'DELETE' })
    await driver.destroy(spec.id)
    expect(cloud.left()).toEqual([])
  })

  test('of a snapshot: it is waited for, and the machine is given back after that', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf()
    await driver.create(spec)
    cloud.sim.faults.add({ kind: 'lost_answer', method: 'POST', path: '/servers/*/actions/create_image', times: 1 })
    await driver.stop(spec.id, 0, { snapshot: true })
    expect(await driver.inspect(spec.id)).toMatchObject({ status: 'stopped' })
    expect(cloud.sim.state.project().servers.size).toBe(0)
  })
})

describe('what is refused', () => {
  test('sold out: the next one is taken', async () => {
    const driver = await cloud.openDriver()
    cloud.sim.faults.add({ kind: 'sold_out', server_type: 'cx23', listed: true })
    const lines: string[] = []
    const box = await driver.create(specOf(), { onLine: (line) => lines.push(line) })
    expect(box.cloud).toMatchObject({ serverType: 'cx33', location: 'fsn1' })
    expect(lines.filter((line) => line.endsWith('is sold out'))).toHaveLength(3)
  })

  test.each([true, false])(
    'sold out where it was asked for (listed as available: %s): nothing is left, and what else there is is told',
    async (listed) => {
      const driver = await cloud.openDriver()
      cloud.sim.faults.add({ kind: 'sold_out', location: 'fsn1', listed })
      const spec = specOf({ cloud: { location: 'fsn1' } })
      await expect(driver.create(spec)).rejects.toMatchObject({
        code: 'cloud_sold_out',
        message: expect.stringContaining('cx23 in fsn1, cx33 in fsn1, cx43 in fsn1'),
        hint: expect.stringMatching(/^There is still: cx23 in nbg1 \(0\.0096 EUR an hour\)/),
      })
      expect(cloud.left()).toEqual([])
    },
  )

  test('a server that was made and cannot be placed: it is removed, and the next one is taken', async () => {
    const driver = await cloud.openDriver()
    const fault = { kind: 'failed_action', command: 'create_server', code: 'resource_unavailable', times: 1 } as const
    cloud.sim.faults.add(fault)
    expect(await driver.create(specOf())).toMatchObject({ cloud: { serverType: 'cx23', location: 'nbg1' } })
    expect(cloud.sim.state.project().servers.size).toBe(1)
    expect(cloud.sim.state.project().primary_ips.size).toBe(2)
  })

  test('an action that fails: nothing is left', async () => {
    const driver = await cloud.openDriver()
    cloud.sim.faults.add({ kind: 'failed_action', command: 'start_server', times: 1 })
    await expect(driver.create(specOf())).rejects.toMatchObject({ code: 'cloud_failed' })
    expect(cloud.left()).toEqual([])
  })

  test.each([
    ['read', 'Read & Write'],
    ['revoked', 'gibil init'],
  ] as const)('a token that is %s: it is said what to do, and nothing is tried twice', async (access, hint) => {
    const driver = await cloud.openDriver()
    cloud.sim.faults.add({ kind: 'token', access })
    await expect(driver.create(specOf())).rejects.toMatchObject({
      code: 'cloud_unauthorized',
      hint: expect.stringContaining(hint),
    })
    expect(cloud.sim.requests.filter(({ method }) => method !== 'GET').length).toBeLessThan(2)
    expect(cloud.left()).toEqual([])
  })

  test('a limit of the project, in the middle of five: those that are there stay, of the other nothing does', async () => {
    const driver = await cloud.openDriver()
    cloud.sim.faults.add({ kind: 'quota', resource: 'server', max: 3 })
    const made = await Promise.allSettled(Array.from({ length: 5 }, () => driver.create(specOf())))
    const refused = made.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(refused).toHaveLength(2)
    for (const error of refused) expect(error).toMatchObject({ code: 'cloud_limit' })
    expect(await driver.list()).toHaveLength(3)
    const { servers, ssh_keys, firewalls } = cloud.sim.state.project()
    expect([servers.size, ssh_keys.size, firewalls.size]).toEqual([3, 3, 3])
  })

  test.each([
    [423, 'locked'],
    [429, 'rate_limit_exceeded'],
    [409, 'conflict'],
  ])('%s %s: it is asked again', async (status, code) => {
    const driver = await cloud.openDriver()
    cloud.sim.faults.add({ kind: 'answer', method: 'POST', status, code, times: 3 })
    const spec = specOf()
    await driver.create(spec)
    cloud.sim.faults.add({ kind: 'answer', method: 'DELETE', status, code, times: 3 })
    await driver.destroy(spec.id)
    expect(cloud.left()).toEqual([])
  })

  test.each([
    [429, 'rate_limit_exceeded'],
    [500, 'server_error'],
    [503, 'unavailable'],
  ])('%s %s of what is only read: it takes longer', async (status, code) => {
    const driver = await cloud.openDriver()
    cloud.sim.faults.add({ kind: 'answer', method: 'GET', status, code, times: 12 })
    expect(await driver.create(specOf())).toMatchObject({ status: 'running' })
  })

  test('a key that is there already under another name: it is used, and stays', async () => {
    const spec = specOf()
    const first = await cloud.openDriver()
    await first.create(spec)
    const { ssh_keys, servers } = cloud.sim.state.project()
    const [key] = [...ssh_keys.values()]
    Object.assign(key ?? {}, { name: 'mine', labels: {} })
    await first.destroy(spec.id)
    expect(cloud.left()).toEqual(['ssh_keys mine'])
    await first.create(spec)
    expect(servers.size).toBe(1)
    expect(ssh_keys.size).toBe(1)
  })

  test('a box that is protected from deletion says so', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf()
    await driver.create(spec)
    const [server] = cloud.sim.state.project().servers.values()
    Object.assign(server ?? {}, { protection: { delete: true, rebuild: true } })
    await expect(driver.destroy(spec.id)).rejects.toMatchObject({ hint: expect.stringContaining('protection') })
    expect(cloud.sim.state.project().servers.size).toBe(1)
  })
})

describe('the network', () => {
  test('is gone in the middle of a create, which goes on when it is back', async () => {
    let cut = false
    const driver = await cloud.openDriver({
      step(name) {
        if (name !== 'create.actions' || cut) return
        cut = true
        cloud.sim.faults.add({ kind: 'lost_request', method: 'GET', times: 5 })
      },
    })
    expect(await driver.create(specOf())).toMatchObject({ status: 'running' })
    expect(cut).toBe(true)
  })

  test('is gone for good: the create fails, and what is left is known by its labels', async () => {
    const spec = specOf({ deadline: 1000 })
    const driver = await cloud.openDriver({
      step(name) {
        if (name === 'create.actions') cloud.sim.faults.add({ kind: 'lost_request' })
      },
    })
    await expect(driver.create(spec)).rejects.toMatchObject({ code: 'cloud_unreachable' })
    expect(cloud.left()).not.toEqual([])
    cloud.sim.faults.clear()
    await (await cloud.openDriver()).sweep()
    expect(cloud.left()).toEqual([])
  })
})

describe('the box', () => {
  test('whose server somebody removed in the console is gone, and a destroy removes the rest', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf()
    await driver.create(spec)
    const [server] = cloud.sim.state.project().servers.values()
    await fetch(`${cloud.sim.url}/servers/${server?.id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${cloud.sim.token}` },
    })
    await cloud.sim.settled()
    expect(await driver.inspect(spec.id)).toEqual({ id: spec.id, status: 'partial', address: null })
    expect(cloud.left()).not.toEqual([])
    await expect(driver.start(spec)).rejects.toMatchObject({ code: 'box_ended', message: /removed at Hetzner Cloud/ })
    expect(cloud.left()).toEqual([])
    await driver.destroy(spec.id)
  })

  test('of another project is not taken as gone, by no verb, and is what it was with the right token', async () => {
    let token = cloud.sim.token
    const driver = await cloud.openDriver({ token: () => token })
    const spec = specOf()
    const box = await driver.create(spec)
    token = 'of-another-project'
    const elsewhere = { code: 'cloud_unauthorized', message: /another project/ }
    await expect(driver.inspect(spec.id)).rejects.toMatchObject(elsewhere)
    await expect(driver.stop(spec.id, 0)).rejects.toMatchObject(elsewhere)
    await expect(driver.start(spec)).rejects.toMatchObject(elsewhere)
    await expect(driver.destroy(spec.id)).rejects.toMatchObject(elsewhere)
    await expect(driver.dial(spec.id)).rejects.toMatchObject(elsewhere)
    token = cloud.sim.token
    expect(await driver.inspect(spec.id)).toEqual(box)
    await driver.destroy(spec.id)
    expect(cloud.left()).toEqual([])
  })

  test('is found and destroyed with another token of the same project', async () => {
    let token = cloud.sim.token
    const driver = await cloud.openDriver({ token: () => token })
    const spec = specOf()
    const box = await driver.create(spec)
    token = 'another-of-the-same'
    expect(await driver.inspect(spec.id)).toEqual(box)
    await driver.destroy(spec.id)
    expect(cloud.left()).toEqual([])
    // What it had is gone now, and that is known.
    expect(await driver.inspect(spec.id)).toBeUndefined()
  })

  test('whose cloud-init fails is not kept, and its last lines are told', async () => {
    const driver = await cloud.openDriver()
    cloud.cloudInit = { lines: ['E: Unable to locate package'], status: 1 }
    await expect(driver.create(specOf())).rejects.toMatchObject({
      code: 'driver_failed',
      details: { log: 'E: Unable to locate package' },
    })
    expect(cloud.left()).toEqual([])
  })

  test('whose machine shows another key is refused', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf()
    await driver.create(spec)
    const [server] = cloud.sim.state.project().servers.values()
    Object.assign(server ?? {}, { user_data: 'another machine' })
    await expect(driver.dial(spec.id)).rejects.toMatchObject({ code: 'host_key_mismatch' })
  })

  test('of another token is refused by its label, and can be destroyed', async () => {
    const spec = specOf()
    const first = await cloud.openDriver()
    await first.create(spec)
    const [server] = cloud.sim.state.project().servers.values()
    Object.assign(server?.labels ?? {}, { 'gibil/key': '0123456789abcdef' })
    ;(await first.dial(spec.id)).destroy()
    const other = await cloud.openDriver()
    expect(await other.found()).toMatchObject([{ id: spec.id, reachable: false }])
    await other.adopt(spec.id)
    await expect(other.dial(spec.id)).rejects.toMatchObject({ code: 'cloud_unauthorized' })
    await other.destroy(spec.id)
    expect(cloud.left()).toEqual([])
  })
})

describe('cut off at a step', () => {
  const failAt = (step: StepName, what: () => void) => ({
    step(name: StepName): void {
      if (name === step) what()
    },
  })
  const crash = (): never => {
    throw new GibilError('driver_failed', 'the step failed')
  }

  test.each(steps.create)('%s fails: nothing is left', async (step) => {
    const driver = await cloud.openDriver(failAt(step, crash))
    await expect(driver.create(specOf())).rejects.toMatchObject({ message: 'the step failed' })
    expect(cloud.left()).toEqual([])
  })

  test.each(steps.create)('%s, and it is cancelled: nothing is left', async (step) => {
    const cancel = new AbortController()
    const driver = await cloud.openDriver(failAt(step, () => cancel.abort()))
    const creating = driver.create(specOf(), { signal: cancel.signal })
    // After the last step there is nothing left to be cancelled.
    if (step === 'create.end') expect(await creating).toMatchObject({ status: 'running' })
    else {
      await expect(creating).rejects.toMatchObject({ code: 'cancelled' })
      expect(cloud.left()).toEqual([])
    }
  })

  // What is killed does not clean up: as if the cloud could not be reached from then on.
  test.each(steps.create)('%s, and the daemon is killed: another finishes it', async (step) => {
    const spec = specOf()
    const dead = await cloud.openDriver(
      failAt(step, () => {
        cloud.sim.faults.add({ kind: 'lost_request' })
        crash()
      }),
    )
    await expect(dead.create(spec)).rejects.toThrow()
    cloud.sim.faults.clear()
    const next = await cloud.openDriver({ home: cloud.lastHome() })
    expect(await next.create(spec)).toMatchObject({ status: 'running' })
    const { servers, primary_ips, firewalls, ssh_keys } = cloud.sim.state.project()
    expect([servers.size, primary_ips.size, firewalls.size, ssh_keys.size]).toEqual([1, 2, 1, 1])
    await next.destroy(spec.id)
    expect(cloud.left()).toEqual([])
  })

  test.each(steps.stop)(
    '%s of a stop to a snapshot: the disk is never lost, and it can be asked for again',
    async (step) => {
      const spec = specOf()
      const driver = await cloud.openDriver(failAt(step, crash))
      await driver.create(spec)
      await expect(driver.stop(spec.id, 0, { snapshot: true })).rejects.toThrow('the step failed')
      const { servers, images } = cloud.sim.state.project()
      expect(servers.size + images.size).toBeGreaterThan(0)
      const next = await cloud.openDriver({ home: cloud.lastHome() })
      await next.stop(spec.id, 0, { snapshot: true })
      expect([servers.size, images.size]).toEqual([0, 1])
    },
  )

  test.each(steps.start)('%s of a start from a snapshot: the snapshot is there until the box answers', async (step) => {
    const spec = specOf()
    let armed = false
    const driver = await cloud.openDriver(failAt(step, () => armed && crash()))
    await driver.create(spec)
    await driver.stop(spec.id, 0, { snapshot: true })
    armed = true
    await expect(driver.start(spec)).rejects.toThrow('the step failed')
    const { servers, images } = cloud.sim.state.project()
    if (step !== 'start.end') expect(images.size).toBe(1)
    armed = false
    expect(await driver.start(spec)).toMatchObject({ status: 'running' })
    expect([servers.size, images.size]).toEqual([1, 0])
  })
})
