import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { dhcpAnswer } from './dhcp.ts'
import { type Names, namesFor } from './links.ts'
import { answersFor, gateway, macOf } from './metadata.ts'
import type { MachineSpec } from './port.ts'
import { endNoted, running, startNoted } from './processes.ts'

const spec: MachineSpec & { ipv4: string } = {
  ...{ id: 100_000_007, name: 'web-1', cores: 2, memory: 4, disk: 40, architecture: 'x86', location: 'fsn1' },
  ...{ image: { id: 1, name: 'debian-12' }, ipv4: '198.18.7.1', ipv6: null },
  ...{ userData: '#!/bin/sh\n', sshKeys: ['ssh-ed25519 AAAA me'], rootPassword: null, inbound: null },
}
const lease = { address: spec.ipv4, gateway, resolver: gateway }

function request(type: number, mac = macOf(spec.id)): Buffer {
  const head = Buffer.alloc(240)
  head.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef])
  head.set(Buffer.from(mac.replaceAll(':', ''), 'hex'), 28)
  head.writeUInt32BE(0x63_82_53_63, 236)
  return Buffer.concat([head, Buffer.from([0, 12, 2, 97, 98, 53, 1, type, 255])])
}

it('offers a machine its address with a gateway beyond it, and confirms it', () => {
  const mac = macOf(spec.id)
  for (const [asked, answered] of [
    [1, 2],
    [3, 5],
  ] as const) {
    const answer = dhcpAnswer(request(asked), mac, lease) ?? Buffer.alloc(0)
    expect([...answer.subarray(0, 8)]).toEqual([2, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef])
    expect([...answer.subarray(16, 20)]).toEqual([198, 18, 7, 1])
    const options = [...answer.subarray(240)]
    expect(options.slice(0, 3)).toEqual([53, 1, answered])
    expect(options.join()).toContain('1,4,255,255,255,255')
    expect(options.join()).toContain('121,14,32,172,31,1,1,0,0,0,0,0,172,31,1,1')
  }
})

it('answers neither another machine nor what is no request', () => {
  const mac = macOf(spec.id)
  expect(dhcpAnswer(request(1, macOf(8)), mac, lease)).toBeUndefined()
  expect(dhcpAnswer(request(7), mac, lease)).toBeUndefined()
  const whole = request(1)
  for (let length = 0; length < whole.length - 2; length += 1) {
    expect(dhcpAnswer(whole.subarray(0, length), mac, lease)).toBeUndefined()
  }
})

it('has the documents of the metadata service', () => {
  const { paths } = answersFor(spec)
  const document = JSON.parse(paths['/hetzner/v1/metadata'] ?? '')
  expect(document).toMatchObject({ 'instance-id': spec.id, hostname: 'web-1', 'public-keys': spec.sshKeys })
  expect(document['network-config'].config[0].mac_address).toBe(macOf(spec.id))
  expect(paths['/hetzner/v1/userdata']).toBe(spec.userData)
  expect(paths['/hetzner/v1/metadata/instance-id']).toBe(String(spec.id))
  expect(JSON.stringify(answersFor({ ...spec, rootPassword: 'secret' }))).toContain('root:secret')
})

/** All addresses that a simulator has. */
function allOf(names: Names): Set<string> {
  const taken = new Set<string>()
  try {
    for (;;) taken.add(names.freeIpv4(taken))
  } catch (error) {
    expect(error).toMatchObject({ code: 'resource_unavailable' })
    return taken
  }
}

it('gives machines names that fit, by the place of their simulator', () => {
  const [a, b] = [namesFor('/a'), namesFor('/b')]
  expect(a.of(Number.MAX_SAFE_INTEGER % 2 ** 32).link.length).toBeLessThanOrEqual(15)
  expect(a.of(1)).not.toEqual(b.of(1))
  const [first, second] = [allOf(a), allOf(b)]
  for (const address of [...first, ...second])
    expect(address).toMatch(/^198\.1[89]\.\d{1,3}\.([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-4])$/)
  expect(first.size).toBeGreaterThan(250)
  expect([...first].filter((address) => second.has(address))).toEqual([])
})

it('knows its processes again, and no others', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hetzner-sim-'))
  try {
    const note = join(dir, 'note.json')
    expect(await running(note)).toBeUndefined()
    await startNoted(note, join(dir, 'log'), ['sleep', '60'])
    expect(await running(note)).toBeGreaterThan(1)
    await endNoted(note)
    expect(await running(note)).toBeUndefined()
    await startNoted(note, join(dir, 'log'), ['true'])
    await expect.poll(() => running(note)).toBeUndefined()
  } finally {
    await rm(dir, { recursive: true })
  }
})
