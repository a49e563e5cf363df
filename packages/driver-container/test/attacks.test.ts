import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homeNames } from '@gibil/host'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { boxPaths } from '../src/box-paths.ts'
import { run } from './boxd-call.ts'
import { armBox, sh } from './rig.ts'
import { openWorld, type World } from './world.ts'

// One program that makes many tries, run in one box as each of its users; see attack/.
let world: World
const size = { cpu: 1, memoryMib: 128, diskMib: 128 }

beforeAll(async () => {
  world = await openWorld()
  await world.driver.create(world.spec('box', { size }))
  await world.driver.create(world.spec('other', { size }))
  await armBox(boxPaths(homeNames(world.home), 'box').rootfs)
})
afterAll(async () => {
  expect(await world.end()).toEqual([])
})

/** What came of each try. */
async function attack(args: string, user = 'root', box = 'box'): Promise<Map<string, string>> {
  const { output, exitCode } = await run(world.driver, box, `attack ${args}`, user)
  expect({ exitCode, output }).toMatchObject({ exitCode: 0 })
  const lines = output.trim().split('\n')
  return new Map(lines.map((line) => [line.split('\t')[0] ?? '', line.split('\t')[1] ?? '']))
}

describe.each(['root', 'agent'])('%s in a box', (user) => {
  it('is refused every call that is about more than the box', async () => {
    const tries = await attack('calls', user)
    expect(tries.size).toBeGreaterThan(75)
    const answers: Record<string, string> = { clone3: 'ENOSYS', io_uring_setup: 'ENOSYS' }
    const wrong = [...tries].filter(([name, what]) => what !== (answers[name] ?? 'EPERM'))
    expect(wrong).toEqual([])
  })

  it('can write to no file of the kernel, and reads nothing that is hidden', async () => {
    const tries = await attack('files', user)
    for (const [name, what] of tries) {
      if (name.startsWith('writable')) expect({ name, what }).toEqual({ name, what: '' })
      if (name.startsWith('write ') || name.startsWith('mkdir')) {
        expect({ name, what }).not.toEqual({ name, what: 'done' })
      }
      if (name.startsWith('read')) expect({ name, what }).toEqual({ name, what: '0' })
    }
    // The walk has been there.
    expect(Number(tries.get('seen below /proc/sys'))).toBeGreaterThan(100)
    expect(Number(tries.get('seen below /sys'))).toBeGreaterThan(10)
  })

  it('makes and finds no device but the harmless ones', async () => {
    const { output } = await run(world.driver, 'box', 'attack devices', user)
    const lines = output.trim().split('\n')
    const made = lines.filter((line) => line.startsWith('/')).map((line) => line.split('\t'))
    expect(made).toHaveLength(36)
    expect(made.filter(([, what]) => what === 'done')).toEqual([])
    const nodes = lines.filter((line) => line.startsWith('node\t')).map((line) => line.slice(5))
    const harmless = /^\/dev\/(null|zero|full|random|urandom|tty|ptmx|pts\/(ptmx|\d+))$/
    expect(nodes.filter((path) => !harmless.test(path))).toEqual([])
    expect(nodes.length).toBeGreaterThan(5)
  })

  it('does not reach a process of the host or of another box, by its number there', async () => {
    const pids = await sh(`cat ${boxPaths(homeNames(world.home), 'other').pidFile}; echo; echo ${process.pid}`)
    for (const pid of pids.trim().split(/\s+/)) {
      const tries = await attack(`neighbour ${pid}`, user)
      expect(tries.size).toBe(10)
      for (const [name, what] of tries)
        expect({ name, what }).toEqual({ name, what: expect.stringMatching(/^E(SRCH|NOENT)$/) })
    }
  })

  it('does not reach a unix socket of the host that has no path', async () => {
    const name = `gibil-test-${process.pid}`
    const server = createServer((socket) => socket.end('the host'))
    await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve))
    try {
      expect((await attack(`unix ${name}`, user)).get('connect')).toBe('ECONNREFUSED')
    } finally {
      server.close()
    }
  })

  it('does not find the files of the host or of another box by their paths', async () => {
    const names = homeNames(world.home)
    const { kept, rootfs, disk, socket } = boxPaths(names, 'other')
    const layer = world.spec('box').image.layers[0] ?? ''
    const paths = [world.home, names.runDir, kept, rootfs, disk, socket, layer, '/run/netns', '/run/gibil/claims']
    const { output } = await run(
      world.driver,
      'box',
      `for p in ${paths.join(' ')}; do ls -d $p /proc/1/root$p /proc/self/root/../..$p; done 2> /dev/null`,
      user,
    )
    expect(output).toBe('')
  })

  it('changes nothing of its network', async () => {
    const changes = [
      'ip link set eth0 down',
      'ip link set eth0 address 02:00:00:00:00:01',
      'ip link add x type dummy',
      'ip address add 10.9.9.9/24 dev eth0',
      'ip route add 10.9.9.0/24 dev eth0',
      'ip route del default',
      'ip neigh add 10.9.9.1 lladdr 02:00:00:00:00:02 dev eth0',
      'ip rule add from all table 7',
      'ifconfig eth0 10.9.9.9',
      'arping -c 1 -w 1 10.64.0.1',
      'ping6 -c 1 -W 1 ff02::1%eth0',
      'ip -6 address add fe80::9/64 dev eth0',
    ]
    for (const change of changes) {
      const { exitCode } = await run(world.driver, 'box', `busybox ${change} > /dev/null 2>&1`, user)
      expect({ change, exitCode }).not.toEqual({ change, exitCode: 0 })
    }
  })
})

it('ends programs that call by another convention than the one that is filtered', async () => {
  // A program for 32 bits that exits with 7 by int 0x80, made by hand: an ELF header, one segment, five instructions.
  if (process.arch !== 'x64') return
  const elf =
    '7f454c4601010100000000000000000002000300010000005480040834000000000000000000000034002000010028000000000001000000000000000080040800800408' +
    '6000000060000000050000000010000031c040b307cd80'
  const bytes = elf
    .match(/../g)
    ?.map((hex) => `\\x${hex}`)
    .join('')
  const { exitCode, signal } = await run(
    world.driver,
    'box',
    `printf '${bytes}' > /tmp/x32; chmod 755 /tmp/x32; exec /tmp/x32`,
  )
  expect({ exitCode, signal }).toEqual({ exitCode: null, signal: 'SIGSYS' })
})

describe.each(['heap', 'shared', 'sysv', 'pipes', 'sockets', 'files'])('memory of the kind %s', (kind) => {
  it('is had up to the limit of the box, and at worst ends that box', async () => {
    const small = { cpu: 1, memoryMib: 64, diskMib: 64 }
    await world.driver.create(world.spec('hog', { size: small }))
    const { rootfs } = boxPaths(homeNames(world.home), 'hog')
    await armBox(rootfs)
    // A box that ended cannot say how the command ended.
    await run(world.driver, 'hog', `attack hold ${kind} > /held`).catch(() => undefined)
    const held = Number((await readFile(`${rootfs}/held`, 'utf8')).trim().split('\n').at(-1))
    expect(held).toBeGreaterThan(0)
    expect(held).toBeLessThan(small.memoryMib * 1024)
    const after = await world.driver.inspect('hog')
    expect(['running', 'out of memory']).toContain(after?.reason ?? after?.status)
    expect((await run(world.driver, 'other', 'echo alive')).output).toBe('alive\n')
    await world.driver.destroy('hog')
  })
})
