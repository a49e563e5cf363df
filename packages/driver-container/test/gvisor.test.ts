import { readFile, rename, stat, symlink } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { homeNames, locate } from '@gibil/host'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import { boxPaths } from '../src/box-paths.ts'
import { call, run } from './boxd-call.ts'
import { armBox } from './rig.ts'
import { eventually, openWorld, type World } from './world.ts'

const size = { cpu: 1, memoryMib: 512, diskMib: 128 }

describe('without runsc', () => {
  it('a box in gVisor is refused before anything is made, with what to install', async () => {
    const world = await openWorld({ gvisor: 'no-such-runsc' })
    try {
      await expect(world.driver.create(world.spec('box', { isolation: 'gvisor' }))).rejects.toMatchObject({
        code: 'missing_tool',
        hint: expect.stringContaining('apt-get install runsc'),
      })
      expect(await world.driver.list()).toEqual([])
    } finally {
      expect(await world.end()).toEqual([])
    }
  })
})

describe.runIf(locate('runsc'))('a box in gVisor', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld()
    await world.driver.create(world.spec('box', { size, isolation: 'gvisor' }))
  })
  afterAll(async () => {
    expect(await world.end()).toEqual([])
  })
  const inBox = (command: string, user = 'root') => run(world.driver, 'box', command, user)

  it('has a kernel of its own, and the users and the disk of any box', async () => {
    expect((await inBox('dmesg')).output).toContain('gVisor')
    expect((await inBox('id -u; cat /proc/1/cmdline | tr "\\0" " "')).output).toBe(
      '0\n/run/gibil/boxd --listen unix:/run/gibil/socket/boxd.sock ',
    )
    expect((await inBox('touch /home/agent/x && stat -c %u /home/agent/x', 'agent')).output).toBe('1000\n')
    expect((await inBox('ls /run/gibil/socket', 'agent')).exitCode).not.toBe(0)
  })

  it('is saved, begun again with ids of its own, and put back', async () => {
    const { driver } = world
    await inBox('echo saved > /home/agent/file && chown agent /home/agent/file')
    await driver.snapshot?.('box', { id: 'saved', kind: 'disk' })
    await inBox('echo later > /home/agent/file')
    await driver.create(world.spec('fork', { size, isolation: 'gvisor', from: 'saved' }))
    expect((await run(driver, 'fork', 'cat ~/file; echo own > ~/file; hostname', 'agent')).output).toBe('saved\nfork\n')
    await driver.restore?.(world.spec('box', { size, isolation: 'gvisor' }), 'saved')
    expect((await inBox('cat /home/agent/file', 'agent')).output).toBe('saved\n')
    await driver.destroy('fork')
    await driver.removeSnapshot?.('saved')
  })

  it('runs as nobody on the host, under a filter, with ids of the box for its files', async () => {
    const paths = boxPaths(homeNames(world.home), 'box')
    const pid = (await readFile(paths.pidFile, 'utf8')).trim()
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe('0')
    expect(status).toMatch(/^Seccomp:\s+2/m)
    expect(status).toMatch(/^NoNewPrivs:\s+1/m)
    expect((await stat(`${paths.rootfs}/home/agent/x`)).uid).toBeGreaterThan(0x7000_0000)
  })

  it('has the network of any box: names and the gateway, and nothing else of the host', async () => {
    const server = createServer((_, response) => response.end('the host'))
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    const at = server.address()
    const port = typeof at === 'object' && at !== null ? at.port : 0
    try {
      const gateway = (await inBox("sed -n 's/nameserver //p' /etc/resolv.conf")).output.trim()
      const hosts = Object.values(networkInterfaces()).flatMap((link) => link?.map(({ address }) => address) ?? [])
      for (const address of [gateway, '127.0.0.1', '169.254.169.254', ...hosts.filter((one) => !one.includes(':'))]) {
        const { exitCode, output } = await inBox(`probe get http://${address}:${port}`)
        expect({ address, exitCode }).not.toMatchObject({ exitCode: 0 })
        expect(output).not.toContain('the host')
      }
      // It has a way out: the firewall answers for the gateway, which an address without a route would not get.
      expect((await inBox(`probe get http://${gateway}:${port}`)).output).toContain('connection refused')
    } finally {
      server.close()
    }
  })

  it('does not reach processes, sockets or files of the host', async () => {
    const names = homeNames(world.home)
    const { rootfs, pidFile, kept } = boxPaths(names, 'box')
    await armBox(rootfs)
    for (const pid of [process.pid, (await readFile(pidFile, 'utf8')).trim()]) {
      const { output } = await inBox(`attack neighbour ${pid}`)
      const tries = output.trim().split('\n')
      expect(tries).toHaveLength(10)
      expect(tries.filter((line) => line.endsWith('\tdone'))).toEqual([])
    }
    const name = `gibil-test-gvisor-${process.pid}`
    const server = createTcpServer((socket) => socket.end('the host'))
    await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve))
    expect((await inBox(`attack unix ${name}`)).output).toBe('connect\tECONNREFUSED\n')
    server.close()
    const layer = world.spec('box').image.layers[0] ?? ''
    expect((await inBox(`ls -d ${kept} ${names.runDir} ${layer} /run/netns 2> /dev/null`)).output).toBe('')
    const { output } = await inBox('attack devices')
    expect(output.split('\n').filter((line) => /mem|port|loop|kvm|[sv]da/.test(line) && line.endsWith('done'))).toEqual(
      [],
    )
  })

  it('has no network with the policy none', async () => {
    await world.driver.create(world.spec('none', { size, isolation: 'gvisor', network: 'none' }))
    const { output } = await run(world.driver, 'none', "sed 's/:.*//' /proc/net/dev | tail -n +3")
    expect(output.trim()).toBe('lo')
    await world.driver.destroy('none')
  })

  it('pauses and goes on', async () => {
    await world.driver.pause('box')
    expect(await world.driver.inspect('box')).toMatchObject({ status: 'paused' })
    await world.driver.resume('box')
    expect((await inBox('echo on')).output).toBe('on\n')
  })

  it('keeps its disk over a stop, and another daemon finds it', async () => {
    await inBox('echo kept > /file')
    await world.driver.stop('box', 3000)
    expect(await world.driver.inspect('box')).toMatchObject({ status: 'stopped' })
    await world.driver.start(world.spec('box', { size, isolation: 'gvisor' }))
    expect((await inBox('cat /file')).output).toBe('kept\n')
    world = await world.reopen()
    expect((await inBox('cat /file')).output).toBe('kept\n')
  })

  it.runIf(full)('holds to its limits of memory and disk', async () => {
    expect((await inBox('dd if=/dev/zero of=/fill bs=1M count=300 2>&1; rm -f /fill')).output).toContain(
      'No space left',
    )
    const spec = world.spec('hog', { size: { ...size, memoryMib: 128 }, isolation: 'gvisor' })
    await world.driver.create(spec)
    const eat = 'x=$(head -c 400m /dev/zero | tr "\\0" x)'
    await call(world.driver, 'hog', 'POST', '/v1/jobs', { argv: ['bash', '-c', eat], user: 'root', cwd: '/' })
    await eventually('the box ended', () => world.exits.includes('hog'))
    expect(await world.driver.inspect('hog')).toMatchObject({ status: 'stopped', reason: 'out of memory' })
    await world.driver.destroy('hog')
  })

  it('cannot send the daemon to another socket of the host', async () => {
    const { sharedSocket } = boxPaths(homeNames(world.home), 'box')
    const trap = createTcpServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\ncaught'))
    const path = `${world.home}/trap.sock`
    await new Promise<void>((resolve) => trap.listen(path, resolve))
    try {
      // As a box would whose gVisor lets it: this one does not let go of a socket that it made.
      await rename(sharedSocket, `${sharedSocket}.kept`)
      await symlink(path, sharedSocket)
      await expect(world.driver.dial('box')).rejects.toMatchObject({ code: 'boxd_unreachable' })
    } finally {
      trap.close()
    }
  })
})
