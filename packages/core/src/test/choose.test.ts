import { type CreateBox, GibilError } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Driver } from '../ports/driver.ts'
import { createFakeCloud, type FakeCloud } from './fake-cloud.ts'
import { createFakeDriver } from './fake-driver.ts'
import { createWorld, type World } from './world.ts'

let world: World
let cloud: FakeCloud
let emulated: boolean | null
let broken: Error | undefined

beforeEach(async () => {
  world = createWorld()
  cloud = createFakeCloud(world.host, world.clock)
  emulated = null
  broken = undefined
  for (const name of ['docker', 'vm', 'workstation']) {
    const shape = name === 'docker' ? 'microvm' : 'vm'
    world.images.set(name, { ...imageOf('base'), name, digest: `sha256:${name}`, shape })
  }
})
afterEach(async () => {
  await world.close()
  expect(world.host.violations).toEqual([])
})

const imageOf = (name: string) => {
  const image = world.images.get(name)
  if (!image) throw new Error(`no image ${name}`)
  return image
}
/** Machines lie beside the boxes of the host: each driver lists those that it has made. */
const machines = (shape: 'microvm' | 'vm'): Driver => {
  const driver = createFakeDriver(world.host, ['pause', 'snapshot', 'fork'], { provider: 'local', shape })
  const made = new Set<string>()
  return {
    ...driver,
    create: (spec, options) => {
      made.add(spec.id)
      return driver.create(spec, options)
    },
    list: async () => (await driver.list()).filter(({ id }) => made.has(id)),
    emulates: async () => emulated,
  }
}
const missing = (shape: 'microvm' | 'vm'): Driver => ({
  ...machines(shape),
  open: async () => {
    throw new GibilError('missing_tool', 'QEMU is not installed.', { hint: 'Run `./gibil up --shape microvm`.' })
  },
})
const withMachines = (driver = machines) =>
  world.restart({ drivers: [...world.deps().drivers, driver('microvm'), driver('vm'), cloud.driver()] })
const create = (input: CreateBox) => world.clock.until(world.plane.create({ name: 'w', wait: 'created', ...input }))
const withServices = (services: string, more = '') => ({ upload: true, config: `services: ${services}\n${more}` })
const images = '{ db: { image: postgres } }'

describe('choose', () => {
  test('knows what can be made here, whether images are there, and that processors are emulated', async () => {
    await withMachines()
    emulated = true
    world.images.delete('docker')
    expect(await world.plane.choose({ docker: true })).toMatchObject({
      shape: 'microvm',
      unavailable: null,
      before: ['gibil image build docker'],
      warnings: [expect.stringContaining('KVM'), expect.stringContaining('smaller')],
      free: true,
      cost: null,
    })
    expect(await world.plane.choose({})).toMatchObject({ shape: 'container', before: [], warnings: [] })
  })

  test('says what is missing for the box that is meant, and what to do', async () => {
    await withMachines(missing)
    expect(await world.plane.choose({ embed: true })).toMatchObject({
      shape: 'microvm',
      unavailable: { code: 'missing_tool', hint: 'Run `./gibil up --shape microvm`.' },
    })
  })

  test('of a cloud asks what it costs, by the hour and for the whole time', async () => {
    await withMachines()
    const choice = await world.plane.choose({ where: 'own-cloud', ttl: '90m' })
    expect(choice).toMatchObject({
      provider: 'hetzner',
      free: false,
      cost: { currency: 'EUR', hourly: '0.011', monthly: '5.50', total: '0.022', serverType: 'cx23', location: 'fsn1' },
    })
    const { name } = await create(choice.create)
    expect(await world.plane.get(name)).toMatchObject({ provider: 'hetzner', chosenBecause: null })
  })

  test('goes on without a price that cannot be asked, and not with one above what may be paid', async () => {
    const quoting = { ...cloud.driver(), quote: async () => Promise.reject(broken) }
    await world.restart({ drivers: [...world.deps().drivers, quoting] })
    broken = new GibilError('cloud_unreachable', 'No answer.')
    expect(await world.plane.choose({ publicAddress: true })).toMatchObject({
      cost: null,
      warnings: [expect.anything(), 'What it costs is not known: No answer.'],
    })
    broken = new GibilError('over_price_cap', 'Too dear.')
    await expect(world.plane.choose({ publicAddress: true, maxHourly: '0.001' })).rejects.toBe(broken)
  })
})

describe('a create without a shape', () => {
  test.each<[string, CreateBox, { shape: string; image: string; because: string }]>([
    ['of nothing more', {}, { shape: 'container', image: 'base', because: 'nothing that was asked' }],
    ['of auto', { shape: 'auto', cpu: 64 }, { shape: 'container', image: 'base', because: 'nothing that was asked' }],
    ['without an end', { ttl: 'none' }, { shape: 'container', image: 'base', because: 'nothing that was asked' }],
    ['of an image', { image: 'docker', cpu: 1 }, { shape: 'microvm', image: 'docker', because: 'made for it' }],
    ['with cloud-init', { cloudInit: '#!' }, { shape: 'vm', image: 'vm', because: 'cloud-init' }],
    ['at a cloud', { provider: 'hetzner' }, { shape: 'vm', image: 'vm', because: 'full machines only' }],
    ['with images', { repo: withServices(images) }, { shape: 'microvm', image: 'docker', because: 'Docker' }],
    [
      'for days',
      { repo: withServices(images), ttl: '2d' },
      { shape: 'vm', image: 'vm', because: 'for a day or longer' },
    ],
    ['for days by its file', { repo: withServices(images, 'ttl: 2d') }, { shape: 'vm', image: 'vm', because: 'day' }],
    ['with units', { repo: withServices('[postgres]') }, { shape: 'vm', image: 'vm', because: 'systemd' }],
    ['with commands', { repo: withServices('{ a: run }') }, { shape: 'container', image: 'base', because: 'nothing' }],
  ])('%s', async (_, input, { shape, image, because }) => {
    await withMachines()
    expect(await create({ diskMib: 1000, ...input })).toMatchObject({ shape, image })
    expect((await world.plane.get('w')).chosenBecause?.join()).toContain(because)
  })

  test('keeps what somebody named: caller, file or image', async () => {
    await withMachines()
    const named = { chosenBecause: null }
    expect(await create({ name: 'a', shape: 'container', repo: withServices(images) })).toMatchObject({
      ...named,
      shape: 'container',
    })
    expect(await create({ name: 'b', repo: withServices(images, 'shape: vm\ndisk: 1G') })).toMatchObject({
      ...named,
      shape: 'vm',
    })
    expect(await create({ name: 'c', image: 'base', diskMib: 1000, repo: withServices(images) })).toMatchObject({
      shape: 'microvm',
      image: 'base',
    })
  })

  test('of a file that says managed is a workstation, within what the host has; what is named beside it wins', async () => {
    await withMachines()
    const file = (config: string): CreateBox => ({ repo: { upload: true, config } })
    world.freeDiskMib = 100_000
    expect(await create({ name: 'a', ...file('shape: managed\ntasks: [one]') })).toMatchObject({
      shape: 'vm',
      image: 'workstation',
      size: { cpu: 2, memoryMib: 2048, diskMib: 30_720 },
      chosenBecause: ['managed is a vm of the image workstation', expect.stringContaining('more than this machine')],
    })
    const named = 'shape: managed\nimage: vm\ncpu: 1\nmemory: 1G\ndisk: 10G'
    expect(await create({ name: 'b', ...file(named) })).toMatchObject({
      shape: 'vm',
      image: 'vm',
      size: { cpu: 1, memoryMib: 1024, diskMib: 10_240 },
      chosenBecause: ['managed is a vm of the image vm'],
    })
    expect(await create({ name: 'c', memoryMib: 1536, ...file('shape: managed') })).toMatchObject({
      image: 'workstation',
      size: { cpu: 2, memoryMib: 1536, diskMib: 30_720 },
    })
  })

  test('that names a shape has it, whatever the file says of managed, and the other way round', async () => {
    await withMachines()
    const config = 'shape: managed\ndisk: 1G'
    expect(await create({ name: 'a', shape: 'container', repo: { upload: true, config } })).toMatchObject({
      shape: 'container',
      image: 'base',
      chosenBecause: null,
      size: { memoryMib: 4096, diskMib: 1024 },
    })
    const other = { upload: true, config: 'shape: container\nimage: other\nsize: large' }
    expect(await create({ name: 'b', shape: 'managed', diskMib: 1000, repo: other })).toMatchObject({
      shape: 'vm',
      image: 'workstation',
      size: { cpu: 2, memoryMib: 2048, diskMib: 1000 },
    })
  })

  test('says why it was to have a shape that cannot be made', async () => {
    await withMachines(missing)
    await expect(create({ repo: withServices(images) })).rejects.toMatchObject({
      code: 'missing_tool',
      message: expect.stringMatching(/^QEMU is not installed\. The box is to be a microvm because services/),
      hint: 'Run `./gibil up --shape microvm`.',
    })
    await withMachines()
    world.images.delete('docker')
    await expect(create({ repo: withServices(images) })).rejects.toMatchObject({
      code: 'image_not_found',
      message: expect.stringContaining('The box is to be a microvm because services'),
      hint: expect.stringContaining('gibil image build docker'),
    })
    expect(await world.plane.list()).toEqual([])
  })

  test('has the lease say that a TTL is not one of the only shape there is', async () => {
    await withMachines()
    await expect(create({ cloudInit: '#!', ttl: 'none' })).rejects.toMatchObject({ code: 'lease_out_of_range' })
  })
})

test('a repository that says managed makes its box anew as a workstation', async () => {
  await withMachines()
  const url = 'https://h.example/p'
  world.host.repos.set(url, { '.gibil.yml': 'shape: managed\ndisk: 1G\ntasks: [one]\n' })
  expect(await create({ repo: { url } })).toMatchObject({ shape: 'container' })
  const box = await world.clock.until(world.plane.wait('w', 'ready'))
  expect(box).toMatchObject({ shape: 'vm', image: 'workstation', size: { cpu: 2, memoryMib: 2048, diskMib: 1024 } })
  expect(world.box(box.id).spec).toMatchObject({ image: { digest: 'sha256:workstation' }, size: { memoryMib: 2048 } })
  expect(world.host.ran.filter(({ line }) => line === 'bash -c one')).toHaveLength(1)
})

test('a repository whose services are images makes its box anew as a microvm, before anything runs in it', async () => {
  await withMachines()
  const url = 'https://h.example/p'
  world.host.repos.set(url, { '.gibil.yml': `services: ${images}\ndisk: 1G\n` })
  const box = await create({ repo: { url } })
  expect(box).toMatchObject({ shape: 'container' })
  await world.clock.until(world.plane.wait('w', 'ready').catch(() => undefined))
  expect(world.host.ran.filter(({ line }) => line.startsWith('git clone'))).toHaveLength(2)
  expect(await world.plane.get('w')).toMatchObject({
    shape: 'microvm',
    image: 'docker',
    chosenBecause: [expect.stringContaining('Docker')],
  })
})
