import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { noMachines } from './machines/none.ts'
import { type Sim, type SimOptions, startSim } from './start-sim.ts'
import { ask, makeServer } from './testing/client.ts'

// Made by ssh-keygen, and what its -E md5 -l says of it.
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHWj9MEaf8MbxuFwGer2FpoX7OcW+/M3ixfkjKuUmgyg me@here'
const md5 = 'ba:82:5b:e7:04:c2:56:2a:9a:89:b3:77:19:8c:87:ab'

const open: Sim[] = []
const start = async (options: SimOptions = {}): Promise<Sim> => {
  const sim = await startSim({ actionMs: 20, ...options })
  open.push(sim)
  return sim
}
afterEach(async () => {
  for (const sim of open.splice(0)) await sim.close()
})

const codeOf = async (reply: Promise<{ status: number; body: { error: { code: string } } }>): Promise<string> => {
  const { status, body } = await reply
  return `${status} ${body.error.code}`
}

it('wants a token for every route that it has, and knows no others', async () => {
  const sim = await start({ tokens: [{ token: 'reader', access: 'read' }] })
  expect(await codeOf(ask(sim, 'GET', '/nothing', undefined, ''))).toBe('404 not_found')
  expect((await ask(sim, 'GET', '/servers', undefined, '')).body.error.message).toBe('token is required')
  expect(await codeOf(ask(sim, 'PATCH', '/servers', undefined, ''))).toBe('401 unauthorized')
  expect(await codeOf(ask(sim, 'GET', '/servers', undefined, 'wrong'))).toBe('401 unauthorized')
  expect(await codeOf(ask(sim, 'DELETE', '/servers'))).toBe('405 method_not_allowed')
  expect(await codeOf(ask(sim, 'POST', '/servers', '{'))).toBe('400 json_error')
  expect(await codeOf(ask(sim, 'POST', '/ssh_keys', {}, 'reader'))).toBe('401 token_readonly')
  expect(await codeOf(ask(sim, 'GET', '/datacenters'))).toBe('410 deprecated_api_endpoint')
  expect(await codeOf(ask(sim, 'GET', '/actions'))).toBe('422 invalid_input')
})

it('says with each answer what is left of the limit, and refuses what is beyond', async () => {
  let now = Date.now()
  const sim = await start({ now: () => now })
  const first = await ask(sim, 'GET', '/servers')
  expect(first.headers.get('ratelimit-limit')).toBe('3600')
  expect(first.headers.get('ratelimit-remaining')).toBe('3599')
  expect(first.headers.get('x-correlation-id')).toMatch(/^[0-9a-f]{16}$/)
  sim.drainRateLimit(0)
  const refused = await ask(sim, 'GET', '/servers')
  expect([refused.status, refused.body.error.code]).toEqual([429, 'rate_limit_exceeded'])
  expect(Number(refused.headers.get('ratelimit-reset'))).toBe(Math.ceil(now / 1000 + 3600))
  now += 1000
  expect((await ask(sim, 'GET', '/servers')).status).toBe(200)
})

it('lists in pages, in the order and with the values that were asked for', async () => {
  const sim = await start()
  const page = await ask(sim, 'GET', '/locations?per_page=4&page=2&sort=name:desc')
  expect(page.body.locations.map(({ name }: { name: string }) => name)).toEqual(['fsn1', 'ash'])
  const pagination = { page: 2, per_page: 4, previous_page: 1, next_page: null, last_page: 2, total_entries: 6 }
  expect(page.body.meta.pagination).toEqual(pagination)
  expect(page.headers.get('link')).toContain('page=1&sort=name%3Adesc>; rel=prev')
  const past = await ask(sim, 'GET', '/locations?page=9')
  expect([past.status, past.body.locations]).toEqual([200, []])
  expect(await codeOf(ask(sim, 'GET', '/locations?sort=colour'))).toBe('422 invalid_input')
  const images = await ask(sim, 'GET', '/images?name=ubuntu-24.04&architecture=x86')
  expect(images.body.images).toEqual([expect.objectContaining({ id: 161547269, disk_size: 5 })])
  for (const kind of ['isos', 'floating_ips', 'load_balancers', 'certificates']) {
    expect((await ask(sim, 'GET', `/${kind}`)).body).toMatchObject({ [kind]: [], meta: { pagination: { page: 1 } } })
  }
})

it('keeps SSH keys, each once', async () => {
  const sim = await start()
  const made = await ask(sim, 'POST', '/ssh_keys', { name: 'k', public_key: key })
  expect(made.status).toBe(201)
  const { id, fingerprint } = made.body.ssh_key
  expect(fingerprint).toBe(md5)
  const again = await ask(sim, 'POST', '/ssh_keys', { name: 'other', public_key: `${key} again` })
  expect([again.status, again.body.error.details.fields[0].name]).toEqual([409, 'public_key'])
  expect(await codeOf(ask(sim, 'POST', '/ssh_keys', { name: 'x', public_key: 'ssh-rsa nonsense' }))).toBe(
    '422 invalid_input',
  )
  const found = await ask(sim, 'GET', `/ssh_keys?fingerprint=${encodeURIComponent(fingerprint)}`)
  expect(found.body.ssh_keys).toHaveLength(1)
  const gone = await fetch(`${sim.url}/ssh_keys/${id}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${sim.token}` },
  })
  expect([gone.status, gone.headers.get('content-type')]).toEqual([204, null])
})

it('makes a server by actions that take their time, locked until they end', async () => {
  const sim = await start({ actionMs: 400 })
  await ask(sim, 'POST', '/ssh_keys', { name: 'k', public_key: key })
  const made = await makeServer(sim, 'web', { ssh_keys: ['k'], labels: { role: 'web' }, user_data: '#!/bin/sh' })
  expect(made.root_password).toBeNull()
  expect([made.action.command, made.action.status]).toEqual(['create_server', 'running'])
  expect(made.next_actions.map(({ command }: { command: string }) => command)).toEqual(['start_server'])
  expect(made.server).toMatchObject({ status: 'initializing', locked: true, location: { name: 'fsn1' } })
  expect(made.server).not.toHaveProperty('datacenter')
  const path = `/servers/${made.server.id}`
  expect(await codeOf(ask(sim, 'DELETE', path))).toBe('423 locked')
  expect(await codeOf(ask(sim, 'POST', `${path}/actions/poweroff`))).toBe('423 locked')
  await sim.settled()
  const { server } = (await ask(sim, 'GET', path)).body
  expect(server).toMatchObject({ status: 'running', locked: false, image: { name: 'ubuntu-24.04' } })
  const ids = [made.action.id, made.next_actions[0].id]
  const { actions } = (await ask(sim, 'GET', `/actions?id=${ids[0]}&id=${ids[1]}&sort=status&sort=id`)).body
  expect(actions).toMatchObject(ids.map((id) => ({ id, status: 'success', progress: 100 })))
  expect(
    (await ask(sim, 'GET', '/servers?label_selector=role%3Dweb&status=off&status=running')).body.servers,
  ).toHaveLength(1)
  expect((await ask(sim, 'GET', '/servers?label_selector=role!%3Dweb')).body.servers).toEqual([])
})

it('gives a password to who gives no key, and refuses what cannot be', async () => {
  const sim = await start()
  const made = await makeServer(sim, 'a')
  expect(made.root_password).toMatch(/^[\w-]{20}$/)
  const wanted = { name: 'b', server_type: 'cx23', image: 'ubuntu-24.04' }
  const refused = (more: object): Promise<string> => codeOf(ask(sim, 'POST', '/servers', { ...wanted, ...more }))
  expect(await refused({ name: 'a' })).toBe('409 uniqueness_error')
  for (const more of [
    { name: 'under_score' },
    { server_type: 'cx1' },
    { image: 'minix' },
    { location: 'ash' },
    { image: 161547270 },
    { ssh_keys: ['none'] },
    { user_data: 'é'.repeat(16_385) },
    { labels: { k: 'a:b' } },
    { public_net: { enable_ipv4: false, enable_ipv6: false } },
  ]) {
    expect(await refused(more), JSON.stringify(more)).toBe('422 invalid_input')
  }
  expect((await ask(sim, 'GET', '/servers')).body.servers).toHaveLength(1)
  expect((await ask(sim, 'GET', '/primary_ips')).body.primary_ips).toHaveLength(2)
  expect((await ask(sim, 'POST', '/servers', { ...wanted, user_data: 'é'.repeat(16_384) })).status).toBe(201)
})

it('deletes a server with the addresses that came with it, and no others', async () => {
  const sim = await start()
  const own = await ask(sim, 'POST', '/primary_ips', { name: 'own', type: 'ipv4', location: 'fsn1' })
  expect(own.body.primary_ip).toMatchObject({ auto_delete: false, assignee_type: 'unassigned' })
  const { server } = await makeServer(sim, 'a', { public_net: { ipv4: own.body.primary_ip.id } })
  expect(server.public_net.ipv4.ip).toBe(own.body.primary_ip.ip)
  expect(await codeOf(ask(sim, 'DELETE', `/primary_ips/${own.body.primary_ip.id}`))).toBe('422 must_be_unassigned')
  await sim.settled()
  const path = `/servers/${server.id}`
  await ask(sim, 'POST', `${path}/actions/change_protection`, { delete: true })
  await sim.settled()
  expect(await codeOf(ask(sim, 'DELETE', path))).toBe('423 protected')
  await ask(sim, 'POST', `${path}/actions/change_protection`, { delete: false })
  await sim.settled()
  expect((await ask(sim, 'DELETE', path)).body.action.command).toBe('delete_server')
  await sim.settled()
  expect(await codeOf(ask(sim, 'GET', path))).toBe('404 not_found')
  const { primary_ips } = (await ask(sim, 'GET', '/primary_ips')).body
  expect(primary_ips).toMatchObject([{ name: 'own', assignee_id: null }])
  expect(sim.state.project().charges.filter(({ until }) => until === null)).toMatchObject([{ kind: 'primary_ip' }])
})

it('turns a server off when it was asked to and has done so', async () => {
  const sim = await start({ machines: noMachines({ shutdownMs: 400 }) })
  const { server } = await makeServer(sim, 'a')
  const path = `/servers/${server.id}`
  await sim.settled()
  const status = async (): Promise<string> => (await ask(sim, 'GET', path)).body.server.status
  await ask(sim, 'POST', `${path}/actions/shutdown`)
  await sim.settled()
  expect(await status()).not.toBe('off')
  await expect.poll(status).toBe('off')
  expect(await codeOf(ask(sim, 'POST', `${path}/actions/reboot`))).toBe('422 server_not_running')
  const change = { server_type: 'cx33', upgrade_disk: false }
  expect((await ask(sim, 'POST', `${path}/actions/change_type`, change)).status).toBe(201)
  await sim.settled()
  await ask(sim, 'POST', `${path}/actions/poweron`)
  await sim.settled()
  expect((await ask(sim, 'GET', path)).body.server).toMatchObject({
    ...{ status: 'running', server_type: { name: 'cx33' }, primary_disk_size: 40 },
  })
  expect(await codeOf(ask(sim, 'POST', `${path}/actions/change_type`, change))).toBe('422 server_not_stopped')
})

it('keeps an image of a server, from which another begins', async () => {
  // Long enough for the image to be seen while it is made, however busy the host is.
  const sim = await start({ actionMs: 400 })
  const { server } = await makeServer(sim, 'a')
  await sim.settled()
  const wanted = { type: 'snapshot', description: 'golden', labels: { gibil: '1' } }
  const { image } = (await ask(sim, 'POST', `/servers/${server.id}/actions/create_image`, wanted)).body
  expect(image).toMatchObject({ status: 'creating', name: null, disk_size: 40, created_from: { id: server.id } })
  expect(await codeOf(ask(sim, 'DELETE', `/images/${image.id}`))).toBe('423 locked')
  await sim.settled()
  expect((await ask(sim, 'GET', '/images?type=snapshot&label_selector=gibil')).body.images).toMatchObject([
    { id: image.id, status: 'available' },
  ])
  const arm = { name: 'b', server_type: 'cax11', image: image.id }
  expect(await codeOf(ask(sim, 'POST', '/servers', arm))).toBe('422 invalid_input')
  expect((await makeServer(sim, 'c', { image: String(image.id) })).server.image.id).toBe(image.id)
  await sim.settled()
  const rebuilt = await ask(sim, 'POST', `/servers/${server.id}/actions/rebuild`, { image: 'debian-12' })
  expect(rebuilt.body.action.command).toBe('rebuild_server')
  await sim.settled()
  expect((await ask(sim, 'GET', `/servers/${server.id}`)).body.server.image.name).toBe('debian-12')
  expect((await ask(sim, 'DELETE', `/images/${image.id}`)).status).toBe(204)
})

it('applies firewalls to servers and to labels', async () => {
  const sim = await start()
  const ssh = { direction: 'in', protocol: 'tcp', port: '22', source_ips: ['0.0.0.0/0', '::/0'] }
  const made = await ask(sim, 'POST', '/firewalls', {
    ...{ name: 'f', rules: [ssh] },
    apply_to: [{ type: 'label_selector', label_selector: { selector: 'role=web' } }],
  })
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  const { id } = made.body.firewall
  const { server } = await makeServer(sim, 'a', { labels: { role: 'web' } })
  expect(server.public_net.firewalls).toEqual([{ id, status: 'applied' }])
  expect(await codeOf(ask(sim, 'DELETE', `/firewalls/${id}`))).toBe('422 resource_in_use')
  for (const rule of [
    { ...ssh, port: undefined },
    { ...ssh, source_ips: [] },
    { ...ssh, source_ips: ['1.2.3.4'] },
  ]) {
    expect(await codeOf(ask(sim, 'POST', `/firewalls/${id}/actions/set_rules`, { rules: [rule] }))).toBe(
      '422 invalid_input',
    )
  }
  const web = [{ type: 'label_selector', label_selector: { selector: 'role=web' } }]
  await ask(sim, 'POST', `/firewalls/${id}/actions/remove_from_resources`, { remove_from: web })
  expect((await ask(sim, 'DELETE', `/firewalls/${id}`)).status).toBe(204)
})

it('attaches networks, volumes and placement groups', async () => {
  const sim = await start()
  const subnets = [{ type: 'cloud', network_zone: 'eu-central', ip_range: '10.0.1.0/24' }]
  const { network } = (await ask(sim, 'POST', '/networks', { name: 'n', ip_range: '10.0.0.0/16', subnets })).body
  const { volume } = (await ask(sim, 'POST', '/volumes', { name: 'v', size: 10, location: 'fsn1' })).body
  const group = (await ask(sim, 'POST', '/placement_groups', { name: 'g', type: 'spread' })).body.placement_group
  const attached = { networks: [network.id], volumes: [volume.id], placement_group: group.id }
  const { server } = await makeServer(sim, 'a', attached)
  expect(server).toMatchObject({ volumes: [volume.id], placement_group: { id: group.id, servers: [server.id] } })
  expect(server.private_net).toMatchObject([{ network: network.id, ip: '10.0.1.2' }])
  expect((await ask(sim, 'GET', `/networks/${network.id}`)).body.network.servers).toEqual([server.id])
  expect(await codeOf(ask(sim, 'DELETE', `/volumes/${volume.id}`))).toBe('423 locked')
  expect(await codeOf(ask(sim, 'POST', '/networks', { name: 'm', ip_range: '8.8.0.0/16' }))).toBe('422 invalid_input')
  await sim.settled()
  await ask(sim, 'DELETE', `/servers/${server.id}`)
  await sim.settled()
  expect((await ask(sim, 'GET', `/volumes/${volume.id}`)).body.volume.server).toBeNull()
})

it('keeps projects apart, and all of them over a restart', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hetzner-sim-'))
  const options = { stateFile: join(dir, 'state.json'), tokens: [{ token: 'other', project: 'other' }] }
  try {
    const sim = await start(options)
    const { server } = await makeServer(sim, 'a')
    expect((await ask(sim, 'GET', '/servers', undefined, 'other')).body.servers).toEqual([])
    await sim.settled()
    await makeServer(sim, 'cut-off')
    await sim.close()
    expect((await stat(options.stateFile)).mode & 0o777).toBe(0o600)
    const again = await start(options)
    expect(again.token).toBe(sim.token)
    expect((await ask(again, 'GET', `/servers/${server.id}`)).body.server).toMatchObject({
      name: 'a',
      status: 'running',
    })
    expect((await ask(again, 'GET', '/servers')).body.servers).toHaveLength(2)
    expect((await makeServer(again, 'b')).server.id).toBeGreaterThan(server.id)
  } finally {
    await rm(dir, { recursive: true })
  }
})
