import { hostname } from 'node:os'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fastPace } from '../src/testing/fast-pace.ts'
import { openCloud, specOf, type TestCloud } from './support/cloud.ts'

let cloud: TestCloud
beforeEach(async () => {
  cloud = await openCloud()
})
afterEach(() => cloud[Symbol.asyncDispose]())

const requests = (method: string, path: RegExp): number =>
  cloud.sim.requests.filter((one) => one.method === method && path.test(one.path)).length

describe('a box', () => {
  test('is made with labels, keys and a firewall of its own, and destroyed without a trace', async () => {
    const driver = await cloud.openDriver({ sshFrom: ['192.0.2.0/24'] })
    const spec = specOf()
    const lines: string[] = []
    const phases: string[] = []
    const box = await driver.create(spec, {
      onLine: (line) => lines.push(line),
      trace: (phase) => phases.push(phase),
    })

    expect(box).toMatchObject({
      id: spec.id,
      status: 'running',
      address: expect.stringMatching(/^\d+(\.\d+){3}$/),
      cloud: { serverType: 'cx23', location: 'fsn1', arch: 'x86', price: { currency: 'EUR' } },
    })
    expect(lines).toEqual([expect.stringMatching(/^cx23 in fsn1, 0\.0096 EUR/), 'installing docker.io'])
    expect(phases).toEqual(['plan', 'server', 'ssh', 'cloud-init', 'boxd'])
    const project = cloud.sim.state.project()
    const labels = {
      'gibil/box-id': spec.id,
      'gibil/name': 'work',
      'gibil/owner': 'ada',
      'gibil/deadline': String(spec.deadline),
    }
    for (const things of [project.servers, project.ssh_keys, project.firewalls, project.primary_ips]) {
      expect([...things.values()].map((thing) => thing.labels)).toEqual(
        Array.from(things.keys(), () => expect.objectContaining(labels)),
      )
    }
    expect([...project.primary_ips.values()]).toHaveLength(2)
    expect([...project.firewalls.values()][0]?.rules).toMatchObject([
      { protocol: 'tcp', port: '22', source_ips: ['192.0.2.0/24'] },
      { protocol: 'icmp' },
    ])
    const [server] = [...project.servers.values()]
    expect(server?.name).toBe(`gibil-${spec.id}`)
    expect(server?.user_data).not.toContain(cloud.sim.token)
    expect(await driver.list()).toEqual([box])
    ;(await driver.dial(spec.id)).destroy()

    await driver.destroy(spec.id)
    expect(cloud.left()).toEqual([])
    expect(await driver.inspect(spec.id)).toBeUndefined()
    await driver.destroy(spec.id)
  })

  test('that is there is kept by a second create, and made anew for another spec', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf()
    const first = await driver.create(spec)
    expect(await driver.create(spec)).toEqual(first)
    expect(requests('POST', /\/servers$/)).toBe(1)
    const other = await driver.create({ ...spec, cloud: { serverType: 'cpx22' } })
    expect(other.cloud?.serverType).toBe('cpx22')
    expect(cloud.sim.state.project().servers.size).toBe(1)
  })

  test('is stopped and started; it is billed all the time', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf()
    const { cloud: made } = await driver.create(spec)
    await driver.stop(spec.id, 5000)
    expect(await driver.inspect(spec.id)).toMatchObject({ status: 'stopped', cloud: made })
    await driver.stop(spec.id, 5000)
    expect(await driver.start(spec)).toMatchObject({ status: 'running', cloud: made })
    expect(await driver.start(spec)).toMatchObject({ status: 'running' })
  })

  test('that is stopped to a snapshot gives its machine back, and comes back with what it was', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf({ cloud: { serverType: 'cx33' } })
    await driver.create(spec)
    await driver.stop(spec.id, 0, { snapshot: true })
    expect(cloud.left().map((name) => name.split(' ')[0])).toEqual(['ssh_keys', 'firewalls', 'images'])
    const stopped = await driver.inspect(spec.id)
    expect(stopped).toEqual({ id: spec.id, status: 'stopped', address: null })
    expect(await driver.list()).toEqual([stopped])
    await driver.stop(spec.id, 0, { snapshot: true })

    // The one that it was on is not to be had any more: another of the family is taken.
    cloud.sim.faults.add({ kind: 'sold_out', server_type: 'cx33' })
    const [image] = cloud.sim.state.project().images.values()
    expect(await driver.start(spec)).toMatchObject({ status: 'running', cloud: { serverType: 'cx43' } })
    const [server] = cloud.sim.state.project().servers.values()
    expect(server?.image).toBe(image?.id)
    expect(cloud.sim.state.project().images.size).toBe(0)
    await driver.destroy(spec.id)
    expect(cloud.left()).toEqual([])
  })

  test('is known to a machine that has nothing but the token, which takes it over', async () => {
    const spec = specOf()
    const first = await cloud.openDriver()
    await first.create(spec)
    const other = await cloud.openDriver()
    expect(await other.list()).toEqual([])
    const [found] = await other.found()
    expect(found).toMatchObject({
      ...{ id: spec.id, name: 'work', owner: 'ada', deadline: spec.deadline, image: 'vm', status: 'running' },
      ...{ size: { cpu: 2, memoryMib: 4096 }, host: hostname(), reachable: true, cloud: { serverType: 'cx23' } },
    })
    await expect(other.dial(spec.id)).rejects.toMatchObject({ code: 'box_elsewhere' })

    const [, keysOfFirst] = [await first.dial(spec.id), cloud.dialled.at(-1)]
    expect(await other.adopt(spec.id)).toMatchObject({ id: spec.id, status: 'running', cloud: found?.cloud })
    ;(await other.dial(spec.id)).destroy()
    expect(cloud.dialled.at(-1)).toEqual(keysOfFirst)
    expect((await other.list()).map(({ id }) => id)).toEqual([spec.id])
    expect((await other.found())[0]?.home).not.toBe(found?.home)
  })

  test('that another home has adopted is left alone, also by a destroy', async () => {
    const spec = specOf()
    const first = await cloud.openDriver()
    await first.create(spec)
    const other = await cloud.openDriver()
    await other.adopt(spec.id)
    expect(await first.list()).toEqual([])
    expect(await first.inspect(spec.id)).toMatchObject({ status: 'partial', elsewhere: expect.any(String) })
    for (const verb of [
      () => first.start(spec),
      () => first.stop(spec.id, 0, { snapshot: true }),
      () => first.setDeadline(spec.id, null),
      () => first.dial(spec.id),
    ]) {
      await expect(verb()).rejects.toMatchObject({ code: 'box_elsewhere' })
    }
    await first.destroy(spec.id)
    expect(await other.inspect(spec.id)).toMatchObject({ status: 'running' })
    // Whoever has it keeps it as a snapshot, which is his too.
    await other.stop(spec.id, 0, { snapshot: true })
    await first.destroy(spec.id)
    expect(await first.found()).toMatchObject([{ id: spec.id, status: 'stopped', size: { cpu: 2, memoryMib: 4096 } }])
    expect(await first.adopt(spec.id)).toMatchObject({ status: 'stopped' })
    await first.start(spec)
    await first.destroy(spec.id)
    expect(cloud.left()).toEqual([])
  })

  test('is taken over in any order of its labels: one that was cut off is still the other home’s', async () => {
    const spec = specOf()
    const first = await cloud.openDriver()
    await first.create(spec)
    const other = await cloud.openDriver({ patienceMs: 0 })
    cloud.sim.faults.add({
      kind: 'answer',
      method: 'PUT',
      path: '/servers/*',
      status: 503,
      code: 'unavailable',
      times: 1,
    })
    await expect(other.adopt(spec.id)).rejects.toMatchObject({ code: 'cloud_unreachable' })
    expect(await other.list()).toEqual([])
    await other.destroy(spec.id)
    expect((await first.list()).map(({ id, status }) => [id, status])).toEqual([[spec.id, 'running']])
    await other.adopt(spec.id)
    expect((await other.list()).map(({ id }) => id)).toEqual([spec.id])
  })

  test('is extended in its labels and within', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf()
    await driver.create(spec)
    const [server] = cloud.sim.state.project().servers.values()
    Object.assign(server?.labels ?? {}, { team: 'blue' })
    await driver.setDeadline(spec.id, 1_900_000_000)
    expect(server?.labels).toMatchObject({ 'gibil/deadline': '1900000000', team: 'blue', 'gibil/box-id': spec.id })
    expect(cloud.commands.at(-1)).toContain('1900000000')
    await driver.setDeadline(spec.id, null)
    expect(server?.labels).not.toHaveProperty('gibil/deadline')
  })
})

test('whoever makes a box hears that its SSH is open to all, unless it is not', async () => {
  const heard: string[] = []
  const onNotice = (text: string): void => void heard.push(text)
  await (await cloud.openDriver({ sshFrom: ['203.0.113.7/32', '2001:db8::/32'] })).create(specOf(), { onNotice })
  expect(heard).toEqual([])
  await (await cloud.openDriver()).create(specOf(), { onNotice })
  expect(heard).toEqual([expect.stringContaining('GIBIL_SSH_FROM')])
})

test('a quote is the order in which a create would try', async () => {
  const driver = await cloud.openDriver()
  cloud.sim.faults.add({ kind: 'sold_out', server_type: 'cx23' })
  const offers = await driver.quote(specOf({ cloud: { maxHourly: '0.02' } }))
  expect(offers.map(({ serverType, available }) => `${serverType} ${available}`)).toEqual([
    ...['cx33 true', 'cx33 true', 'cx33 true'],
    ...['cx23 false', 'cx23 false', 'cx23 false'],
  ])
  expect(requests('POST', /./)).toBe(0)
})

describe('the sweep', () => {
  test('ends what is over, from an empty home, and nothing else', async () => {
    const now = Math.floor(Date.now() / 1000)
    const driver = await cloud.openDriver()
    const [over, extended, open] = [specOf({ deadline: now - 10 }), specOf({ deadline: now - 10 }), specOf()]
    for (const spec of [over, extended, open]) await driver.create(spec)
    await driver.setDeadline(extended.id, now + 3600)
    const sweeper = await cloud.openDriver()
    expect(await sweeper.sweep(new Set([over.id]))).toEqual([])
    expect(await sweeper.sweep()).toEqual([{ id: over.id, name: 'work', deadline: over.deadline }])
    expect((await driver.list()).map(({ id }) => id).sort()).toEqual([extended.id, open.id].sort())
    expect(cloud.left().some((name) => name.includes(over.id))).toBe(false)
    expect(await sweeper.sweep()).toEqual([])
  })

  test('ends a box that was stopped to a snapshot', async () => {
    const driver = await cloud.openDriver()
    const spec = specOf({ deadline: 1000 })
    await driver.create(spec)
    await driver.stop(spec.id, 0, { snapshot: true })
    expect(await (await cloud.openDriver()).sweep()).toHaveLength(1)
    expect(cloud.left()).toEqual([])
  })
})

test('fifty boxes that are looked at once a minute take a fraction of the requests that an hour has', async () => {
  const pace = fastPace()
  const driver = await cloud.openDriver({ pace })
  const spec = specOf()
  await driver.create(spec)
  const [made] = cloud.sim.state.project().servers.values()
  const ids = Array.from({ length: 50 }, (_, index) => `bxmany${String(index).padStart(2, '0')}`)
  for (const id of ids) {
    const body = { name: id, server_type: 'cx23', image: 'debian-12', labels: { ...made?.labels, 'gibil/box-id': id } }
    const headers = { authorization: `Bearer ${cloud.sim.token}`, 'content-type': 'application/json' }
    const answer = await fetch(`${cloud.sim.url}/servers`, { method: 'POST', headers, body: JSON.stringify(body) })
    expect(answer.status).toBe(201)
  }
  const before = cloud.sim.requests.length
  for (let minute = 0; minute < 5; minute += 1) {
    await pace.sleep(60_000)
    expect(await driver.list()).toHaveLength(51)
    for (const id of ids) expect(await driver.inspect(id)).toMatchObject({ id, status: 'running' })
  }
  const perMinute = (cloud.sim.requests.length - before) / 5
  // Of 60 in a minute: pages of six kinds, and the prices now and then. The look for boxes that end takes 4 more.
  expect(perMinute).toBeLessThanOrEqual(12)

  // What this daemon changes is seen at once all the same.
  await driver.stop(spec.id, 0)
  expect(await driver.inspect(spec.id)).toMatchObject({ status: 'stopped' })
})
