import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { admitThroughHostFirewall, homeNames, mustRun, runTool, withdrawFromHostFirewall } from '@gibil/host'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { boxPaths } from '../src/box-paths.ts'
import { call, run } from './boxd-call.ts'
import { sh } from './rig.ts'
import { openWorld, type World } from './world.ts'

// All of it is inside this machine: the "internet" is a network namespace behind documentation addresses (RFC 5737), which are routed
// like public ones, and a private network (RFC 1918) lies behind the same link.
const mark = `gt${process.pid.toString(36)}`
const inet = `${mark}-inet`
const outside = '198.51.100.1'
const internet = '198.51.100.2'
/** Another host there. */
const neighbour = '198.51.100.3'
const privateHost = '172.31.251.10'
const linkLocal = '169.254.77.77'

let world: World
let other: World
let server: ChildProcess
let hostService: Server
let hostPort = 0

beforeAll(async () => {
  await sh(`
    ip netns add ${inet}
    ip link add ${mark}h type veth peer name inet0 netns ${inet}
    ip addr add ${outside}/29 dev ${mark}h
    ip addr add 172.31.251.1/24 dev ${mark}h
    ip link set ${mark}h up
    ip route add ${linkLocal}/32 dev ${mark}h
    ip netns exec ${inet} bash -ec '
      ip link set lo up
      ip addr add ${internet}/29 dev inet0
      ip addr add ${neighbour}/29 dev inet0
      ip addr add ${privateHost}/24 dev inet0
      ip addr add ${linkLocal}/32 dev inet0
      ip link set inet0 up'
    nft -f - <<'END'
    table ip ${mark} {
      chain published { type nat hook prerouting priority dstnat; policy accept; ip daddr ${outside} tcp dport 9999 dnat to ${privateHost}:8080; }
    }
END
  `)
  server = spawn('ip', ['netns', 'exec', inet, process.execPath, join(import.meta.dirname, 'internet.ts')])
  if (server.stdout) await once(server.stdout, 'data')
  hostService = createServer((_, response) => response.end('the host'))
  await new Promise<void>((resolve) => hostService.listen(0, '0.0.0.0', resolve))
  const address = hostService.address()
  hostPort = typeof address === 'object' && address !== null ? address.port : 0
  world = await openWorld({ resolver: privateHost })
  other = await openWorld({ resolver: privateHost })
  const size = { cpu: 1, memoryMib: 128, diskMib: 64 }
  await Promise.all([
    world.driver.create(world.spec('inet', { size })),
    world.driver.create(world.spec('lan', { size, network: 'lan' })),
    world.driver.create(world.spec('none', { size, network: 'none' })),
    other.driver.create(other.spec('stranger', { size, network: 'lan' })),
  ])
})

afterAll(async () => {
  const left = [...((await world?.end()) ?? []), ...((await other?.end()) ?? [])]
  hostService?.close()
  server?.kill()
  await sh(`ip link del ${mark}h; ip netns del ${inet}; nft delete table ip ${mark}`)
  expect(left).toEqual([])
})

const get = (id: string, url: string, driver = world.driver) => run(driver, id, `probe get http://${url}`)
const addressOf = async (of: World, id: string) => (await of.driver.inspect(id))?.address ?? ''
const listen = (of: World, id: string) =>
  call(of.driver, id, 'POST', '/v1/jobs', {
    argv: ['bash', '-c', 'while :; do printf "HTTP/1.0 200 OK\\r\\n\\r\\nbox %s" $HOSTNAME | nc -l -p 8000; done'],
    user: 'root',
    cwd: '/',
  })

it.each(['inet', 'lan'])('lets %s reach the internet, seen as the host, also on port 80 and by name', async (id) => {
  expect(await get(id, `${internet}:8080`)).toMatchObject({ exitCode: 0, output: outside })
  expect(await get(id, 'anything.example:8080')).toMatchObject({ exitCode: 0, output: outside })
  expect((await run(world.driver, id, `probe ping ${internet}`)).output).toBe('pong\n')
})

it('answers name questions over TCP too, and lets the gateway be pinged', async () => {
  const gateway = (await run(world.driver, 'inet', "sed -n 's/nameserver //p' /etc/resolv.conf")).output.trim()
  for (const transport of ['udp', 'tcp']) {
    const { output } = await run(world.driver, 'inet', `probe resolve ${transport} anything.example`)
    expect(output).toBe(`${internet}\n`)
  }
  expect((await run(world.driver, 'inet', `probe ping ${gateway}`)).output).toBe('pong\n')
})

it('refuses private networks to internet boxes at once, and lets lan boxes in', async () => {
  const begun = performance.now()
  expect((await get('inet', `${privateHost}:8080`)).exitCode).not.toBe(0)
  expect(performance.now() - begun).toBeLessThan(2500)
  expect(await get('lan', `${privateHost}:8080`)).toMatchObject({ exitCode: 0 })
})

describe.each(['inet', 'lan'])('%s cannot reach', (id) => {
  it('link-local addresses, where clouds keep their metadata', async () => {
    expect((await get(id, `${linkLocal}:8080`)).exitCode).not.toBe(0)
    expect((await get(id, '169.254.169.254')).exitCode).not.toBe(0)
  })

  it('a service of the host by any address of it', async () => {
    const gateway = (await run(world.driver, id, "sed -n 's/nameserver //p' /etc/resolv.conf")).output.trim()
    const addresses = Object.values(networkInterfaces()).flatMap((link) => link?.map(({ address }) => address) ?? [])
    const targets = new Set([gateway, ...addresses.filter((address) => !address.includes(':')), '127.0.0.1', '0.0.0.0'])
    expect(targets.size).toBeGreaterThan(4)
    for (const target of targets) {
      const { exitCode, output } = await get(id, `${target}:${hostPort}`)
      expect({ target, exitCode, output }).not.toMatchObject({ exitCode: 0 })
      expect(output).not.toContain('the host')
    }
  })

  it('what another program publishes on an address of the host', async () => {
    expect((await get(id, `${outside}:9999`)).exitCode).not.toBe(0)
  })

  it('another box, of the same home or of another, while the host can', async () => {
    await Promise.all([listen(world, 'lan'), listen(world, 'inet'), listen(other, 'stranger')])
    const targets = [
      { of: world, box: id === 'lan' ? 'inet' : 'lan' },
      { of: other, box: 'stranger' },
    ]
    for (const { of, box } of targets) {
      const address = await addressOf(of, box)
      const response = await fetch(`http://${address}:8000`, { signal: AbortSignal.timeout(5000) })
      expect(await response.text()).toContain(`box ${box}`)
      expect((await get(id, `${address}:8000`)).exitCode).not.toBe(0)
      expect((await run(world.driver, id, `probe ping ${address}`)).output).not.toContain('pong')
    }
  })
})

describe('addresses that a box may or may not connect to', () => {
  const size = { cpu: 1, memoryMib: 128, diskMib: 64 }
  const everything = { allow: [], deny: ['0.0.0.0/0'] }
  const reaches = async (id: string, host: string) => (await get(id, `${host}:8080`)).exitCode === 0
  const both = async (id: string) => [await reaches(id, internet), await reaches(id, neighbour)]

  it('are denied really, at once, and what is allowed stays open', async () => {
    await world.driver.create(world.spec('only', { size, egress: { ...everything, allow: [internet] } }))
    expect(await both('only')).toEqual([true, false])
    const begun = performance.now()
    await get('only', `${neighbour}:8080`)
    expect(performance.now() - begun).toBeLessThan(2500)
    expect((await run(world.driver, 'only', `probe ping ${neighbour}`)).output).not.toContain('pong')
    // Whose resolver is not allowed: a name would be a way out.
    expect((await get('only', 'anything.example:8080')).exitCode).not.toBe(0)
    await world.driver.destroy('only')
  })

  it('change while it runs: an open connection ends, and names and new ones go again', async () => {
    const ask = async (id: string) => {
      const asked = run(
        world.driver,
        id,
        `exec 3<>/dev/tcp/${internet}/8080; touch /tmp/open; until [ -e /tmp/go ]; do sleep 0.05; done
         printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`,
      )
      await expect.poll(async () => (await run(world.driver, id, 'test -e /tmp/open')).exitCode).toBe(0)
      return async () => {
        await run(world.driver, id, 'touch /tmp/go')
        const { output } = await asked
        await run(world.driver, id, 'rm /tmp/go /tmp/open')
        return output
      }
    }
    await world.driver.create(world.spec('live', { size }))
    const kept = await ask('live')
    expect(await kept()).toContain(outside)
    const cut = await ask('live')
    await world.driver.setEgress?.('live', everything)
    expect(await cut()).not.toContain(outside)
    expect(await both('live')).toEqual([false, false])
    await world.driver.setEgress?.('live', { allow: [], deny: ['198.51.100.2/31', internet] })
    expect(await both('live')).toEqual([false, false])
    await world.driver.setEgress?.('live', { allow: [], deny: [neighbour] })
    expect(await both('live')).toEqual([true, false])
    expect(await reaches('inet', neighbour)).toBe(true)
    await world.driver.setEgress?.('live', { allow: [], deny: [] })
    expect(await both('live')).toEqual([true, true])
    expect(await reaches('live', 'anything.example')).toBe(true)
  })

  it('never open what the policy of the network closes', async () => {
    await world.driver.setEgress?.('live', { allow: [privateHost, linkLocal, outside, '0.0.0.0/0'], deny: [] })
    expect(await reaches('live', privateHost)).toBe(false)
    expect(await reaches('live', linkLocal)).toBe(false)
    expect((await get('live', `${outside}:${hostPort}`)).exitCode).not.toBe(0)
    expect((await get('live', `${await addressOf(world, 'lan')}:8000`)).exitCode).not.toBe(0)
  })

  it('hold over a stop, a restart of the daemon, and end with the box', async () => {
    await world.driver.setEgress?.('live', { allow: [], deny: [neighbour] })
    const rules = () => sh(`nft list set inet ${homeNames(world.home).prefix} denied`)
    expect(await rules()).toContain(neighbour)
    world = await world.reopen({ resolver: privateHost })
    expect(await both('live')).toEqual([true, false])
    await world.driver.stop('live', 0)
    await world.driver.start(world.spec('live', { size, egress: { allow: [], deny: [internet] } }))
    expect(await both('live')).toEqual([false, true])
    await world.driver.destroy('live')
    expect(await rules()).not.toContain('198.51')
    await world.driver.create(world.spec('next', { size }))
    expect(await both('next')).toEqual([true, true])
  })

  it('are there before a box that was made ahead has its user', async () => {
    await world.driver.adapt?.(world.spec('next', { size, egress: everything, hostname: 'used' }))
    expect(await both('next')).toEqual([false, false])
    await world.driver.destroy('next')
  })
})

it('does not let anybody else on the network into a box', async () => {
  const address = await addressOf(world, 'lan')
  await sh(`ip netns exec ${inet} ip route add ${address}/32 via ${outside}`)
  expect(await sh(`ip netns exec ${inet} curl -s -m 2 http://${address}:8000 || echo refused`)).toBe('refused\n')
})

it('drops what a box sends with an address that is not its own', async () => {
  const { netns } = boxPaths(homeNames(world.home), 'inet')
  // As a box would that had got hold of its network namespace.
  const send = async (from: string) => {
    await sh(`ip netns exec ${netns} bash -ec '
      ip addr replace ${from}/32 dev eth0
      ip route replace $(ip route show default) src ${from}
      echo x > /dev/udp/${internet}/9'`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const seen = async () => (await sh(`ip netns exec ${inet} curl -s http://${internet}:8080/seen`)).split('\n')
  await send(await addressOf(world, 'inet'))
  expect(await seen()).toContain(outside)
  await send('198.51.100.5')
  await send(await addressOf(world, 'lan'))
  await send(await addressOf(world, 'inet'))
  const after = await seen()
  expect(after).not.toContain('198.51.100.5')
  expect(after.filter((address) => address === outside)).toHaveLength(2)
})

it('has no IPv6, and with the policy none nothing but itself', async () => {
  expect((await run(world.driver, 'inet', 'cat /proc/net/if_inet6 2>/dev/null')).output).not.toContain('eth0')
  const none = await run(world.driver, 'none', "sed 's/:.*//' /proc/net/dev | tail -n +3; cat /etc/resolv.conf")
  expect(none.output.trim().split(/\s+/)[0]).toBe('lo')
  expect(none.output).not.toMatch(/eth0|nameserver/)
  expect((await get('none', `${internet}:8080`)).exitCode).not.toBe(0)
  expect((await run(world.driver, 'none', 'probe ping 127.0.0.1')).output).toBe('pong\n')
  expect(await world.driver.inspect('none')).toMatchObject({ address: null })
})

it('shares no subnet, table or id between two homes', async () => {
  const tables = await sh('nft list tables')
  for (const { home } of [world, other]) expect(tables).toContain(`table inet ${homeNames(home).prefix}`)
  const subnet = (address: string) => address.split('.').slice(0, 3).map(Number)
  const [a, b] = [subnet(await addressOf(world, 'inet')), subnet(await addressOf(other, 'stranger'))]
  expect([a[0], a[1], (a[2] ?? 0) >> 2]).not.toEqual([b[0], b[1], (b[2] ?? 0) >> 2])
})

it("gets its packets past Docker's and ufw's dropping FORWARD chain, and takes the rules back", async () => {
  const elsewhere = `${mark}-fw`
  const names = homeNames(world.home)
  const inside: typeof runTool = (file, args, input) =>
    runTool('ip', ['netns', 'exec', elsewhere, file, ...args], input)
  const rules = async () => (await inside('iptables', ['-S'])).stdout
  await sh(`ip netns add ${elsewhere}`)
  try {
    expect(await admitThroughHostFirewall(names, inside)).toEqual([])
    expect((await inside('nft', ['list', 'tables'])).stdout).toBe('')
    await inside('iptables', ['-P', 'FORWARD', 'DROP'])
    await admitThroughHostFirewall(names, inside)
    await admitThroughHostFirewall(names, inside)
    expect((await rules()).match(new RegExp(`^-A FORWARD .*${names.linkPrefix}\\+`, 'gm'))).toHaveLength(2)
    await inside('iptables', ['-N', 'DOCKER-USER'])
    await admitThroughHostFirewall(names, inside)
    expect((await rules()).match(new RegExp(`^-A DOCKER-USER .*${names.linkPrefix}\\+`, 'gm'))).toHaveLength(2)
    await withdrawFromHostFirewall(names, inside)
    expect(await rules()).not.toContain(names.linkPrefix)
    const own = 'table inet own {\n chain f {\n type filter hook forward priority 0; policy drop;\n }\n}\n'
    await mustRun(inside, 'nft', ['-f', '-'], own)
    expect(await admitThroughHostFirewall(names, inside)).toEqual([{ family: 'inet', table: 'own', chain: 'f' }])
  } finally {
    await sh(`ip netns del ${elsewhere}`)
  }
})
