import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { enforce } from '../src/machines/admission.ts'
import { makeLinks, namesFor, removeLinks } from '../src/machines/links.ts'
import { noMachines } from '../src/machines/none.ts'
import type { Machines } from '../src/machines/port.ts'
import { type Sim, startSim } from '../src/start-sim.ts'
import { ask, makeServer } from '../src/testing/client.ts'

/** In place of a machine, a process in its namespace that listens on these ports: what is enforced there, and by what, is the same. */
const listener = `for (const port of [22, 80, 90]) require('net').createServer((socket) => socket.end('hello')).listen(port)
process.send('ready')`

function namespaceMachines(dir: string): Machines {
  const names = namesFor(dir)
  const up = new Map<number, ChildProcess>()
  return {
    ...noMachines(),
    freeIpv4: names.freeIpv4,
    async boot({ id, ipv4, inbound }) {
      const { namespace } = names.of(id)
      await makeLinks(names.of(id), ipv4 ?? '')
      await execa('ip', ['-n', namespace, 'addr', 'add', `${ipv4}/32`, 'dev', 'lo'])
      await enforce(namespace, inbound)
      const argv = ['netns', 'exec', namespace, process.execPath, '-e', listener]
      const child = spawn('ip', argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      await once(child, 'message')
      up.set(id, child)
    },
    admit: async (id, inbound) => {
      if (up.has(id)) await enforce(names.of(id).namespace, inbound)
    },
    async remove(id) {
      up.get(id)?.kill('SIGKILL')
      up.delete(id)
      await removeLinks(names.of(id))
    },
  }
}

let dir: string
let sim: Sim
let host: Server
let address: string
let namespace: string
let id: number

/** Whether somebody answers within half a second; what is dropped is never refused. */
const isOpen = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect({ host: address, port, timeout: 500 })
    const end = (open: boolean) => () => {
      socket.destroy()
      done(open)
    }
    socket.once('data', end(true)).once('timeout', end(false)).once('error', end(false))
  })
const open = async (): Promise<number[]> => {
  const ports = [22, 80, 90]
  const answers = await Promise.all(ports.map(isOpen))
  return ports.filter((_, index) => answers[index])
}
const rule = (changes: object) => ({ direction: 'in', protocol: 'tcp', source_ips: ['0.0.0.0/0', '::/0'], ...changes })

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hetzner-admission-'))
  sim = await startSim({ actionMs: 1, machines: namespaceMachines(dir) })
  host = createServer((socket) => socket.end('hello')).listen(0, '0.0.0.0')
  await once(host, 'listening')
  const { server } = await makeServer(sim, 'web')
  await sim.settled()
  id = server.id
  address = server.public_net.ipv4.ip
  namespace = namesFor(dir).of(id).namespace
})
afterAll(async () => {
  await ask(sim, 'DELETE', `/servers/${id}`)
  await sim.settled()
  await sim.close()
  host.close()
  await rm(dir, { recursive: true })
})

it('has machines let in what the firewalls of their servers say, and nothing else', async () => {
  const action = async (path: string, body: object): Promise<number[]> => {
    expect((await ask(sim, 'POST', path, body)).status).toBe(201)
    await sim.settled()
    return open()
  }
  expect(await open()).toEqual([22, 80, 90])
  const rules = [rule({ port: '22' })]
  const { firewall } = (await ask(sim, 'POST', '/firewalls', { name: 'f', rules })).body
  const actions = `/firewalls/${firewall.id}/actions`
  const server = { type: 'server', server: { id } }
  expect(await open()).toEqual([22, 80, 90])
  expect(await action(`${actions}/apply_to_resources`, { apply_to: [server] })).toEqual([22])
  const set = (...given: object[]) => action(`${actions}/set_rules`, { rules: given })
  expect(await set(rule({ port: '80-89' }))).toEqual([80])
  expect(await set(rule({ port: 'any' }))).toEqual([22, 80, 90])
  expect(await set(rule({ port: '90' }), rule({ protocol: 'udp', port: '22' }))).toEqual([90])
  // By where they come from.
  const own = (await execa('ip', ['route', 'get', address])).stdout.match(/src (\S+)/)?.[1]
  expect(await set(rule({ port: 'any', source_ips: ['203.0.113.0/24'] }))).toEqual([])
  expect(await set(rule({ port: '22', source_ips: ['203.0.113.0/24', `${own}/32`] }))).toEqual([22])

  // Another firewall adds to it.
  const second = { name: 'g', rules: [rule({ port: '80' })], apply_to: [server] }
  expect(await action('/firewalls', second)).toEqual([22, 80])
  expect(await action(`${actions}/remove_from_resources`, { remove_from: [server] })).toEqual([80])

  // What the machine begins is its own.
  const script = `require('net').connect(${(host.address() as { port: number }).port}, '${own}').pipe(process.stdout)`
  const argv = ['netns', 'exec', namespace, process.execPath, '-e', script]
  expect((await execa('ip', argv, { timeout: 5000 })).stdout).toBe('hello')
})

it('does so by labels, and from the first moment of a machine on', async () => {
  const selector = { type: 'label_selector', label_selector: { selector: 'closed' } }
  await ask(sim, 'POST', '/firewalls', { name: 'closed', rules: [], apply_to: [selector] })
  await sim.settled()
  const first = address
  const { server } = await makeServer(sim, 'closed', { labels: { closed: '' } })
  await sim.settled()
  address = server.public_net.ipv4.ip
  expect(await open()).toEqual([])
  await ask(sim, 'PUT', `/servers/${server.id}`, { labels: {} })
  await expect.poll(open).toEqual([22, 80, 90])
  await ask(sim, 'DELETE', `/servers/${server.id}`)
  await sim.settled()
  address = first
})
