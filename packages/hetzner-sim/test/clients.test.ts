import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Sim, startSim } from '../src/start-sim.ts'

/** The simulator under clients of Hetzner's own, as Debian has them: hcloud-cli and python3-hcloud. */

let sim: Sim
let dir: string
let publicKey: string

beforeAll(async () => {
  sim = await startSim({ actionMs: 100 })
  dir = await mkdtemp(join(tmpdir(), 'hetzner-clients-'))
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'key')])
  publicKey = join(dir, 'key.pub')
})
afterAll(async () => {
  await sim.close()
  await rm(dir, { recursive: true })
})

interface Ran {
  readonly exitCode?: number
  readonly stdout: string
  readonly stderr: string
}

async function hcloud(line: string, token = sim.token): Promise<Ran> {
  const env = { HCLOUD_ENDPOINT: sim.url, HCLOUD_TOKEN: token, HCLOUD_CONFIG: join(dir, 'none') }
  return execa('hcloud', ['--poll-interval', '50ms', ...line.split(' ')], { env, reject: false })
}

/** What a command that has to go well prints. */
async function good(line: string): Promise<string> {
  const { exitCode, stdout, stderr } = await hcloud(line)
  expect(exitCode, `hcloud ${line}: ${stderr}`).toBe(0)
  return stdout
}

const namesOf = async (line: string): Promise<string[]> =>
  (await good(`${line} -o noheader -o columns=name`)).split('\n').filter((name) => name !== '')

it('is driven by hcloud through the life of a server', async () => {
  await good(`ssh-key create --name laptop --public-key-from-file ${publicKey}`)
  await writeFile(join(dir, 'user-data'), '#cloud-config\nhostname: a\n')
  const made = await good(
    `server create --name a --type cx23 --image ubuntu-24.04 --location fsn1 --ssh-key laptop --label gibil=1 --user-data-from-file ${dir}/user-data`,
  )
  expect(made).toMatch(/IPv4: 198\.18\.0\.1$/m)
  expect(made).not.toContain('password')
  await good('server create --name b --type cpx22 --image debian-12 --location hel1 --ssh-key laptop')

  expect(await namesOf('server list')).toEqual(['a', 'b'])
  expect(await namesOf('server list -l gibil=1')).toEqual(['a'])
  expect(await namesOf('server list -l !gibil')).toEqual(['b'])
  await good('server add-label b role=db')
  expect(await namesOf('server list -l role,gibil!=1')).toEqual(['b'])
  expect(JSON.parse(await good('server describe a -o json'))).toMatchObject({
    ...{ name: 'a', status: 'running', labels: { gibil: '1' }, server_type: { name: 'cx23' } },
    public_net: { ipv4: { ip: '198.18.0.1' } },
  })
  expect(sim.state.project().servers.values().next().value).toMatchObject({ user_data: '#cloud-config\nhostname: a\n' })

  await good('server shutdown a')
  await expect.poll(async () => JSON.parse(await good('server describe a -o json')).status).toBe('off')
  await good('server change-type a cx33')
  await good('server poweron a')
  await good('server create-image --type snapshot --description golden a')
  expect(await good('image list --type snapshot -o noheader -o columns=description')).toContain('golden')

  await good('server enable-protection a delete')
  expect((await hcloud('server delete a')).stderr).toContain('(protected)')
  await good('server disable-protection a delete')
  for (const name of ['a', 'b']) await good(`server delete ${name}`)
  await sim.settled()
  expect(await namesOf('server list')).toEqual([])
  expect(await namesOf('primary-ip list')).toEqual([])
  const charges = sim.state.project().charges.filter(({ until }) => until === null)
  expect(charges.map(({ kind }) => kind)).toEqual(['image'])
})

it('refuses hcloud with codes that it knows', async () => {
  const create = 'server create --type cx23 --image ubuntu-24.04 --location fsn1'
  const refused = async (line: string, token?: string): Promise<string> => {
    const { exitCode, stderr } = await hcloud(line, token)
    expect(exitCode, `hcloud ${line}`).toBe(1)
    return stderr
  }
  const again = `ssh-key create --name other --public-key-from-file ${publicKey}`
  expect(await refused(again)).toContain('(uniqueness_error)')
  expect(await refused('server describe nobody')).toContain('not found: nobody')
  expect(await refused('server list', 'wrong')).toContain('(unauthorized)')
  sim.faults.add({ kind: 'sold_out', server_type: 'cx23', location: 'fsn1', times: 1 })
  expect(await refused(`${create} --name c`)).toContain('error during placement (resource_unavailable)')
  sim.faults.add({ kind: 'quota', resource: 'server', max: 0, times: 1 })
  expect(await refused(`${create} --name c`)).toContain('(resource_limit_exceeded)')
  sim.faults.add({ kind: 'failed_action', command: 'start_server', message: 'no room', times: 1 })
  expect(await refused(`${create} --name c`)).toContain('no room (action_failed)')
  expect(await refused(`${create} --name c`)).toContain('(uniqueness_error)')
  await good('server delete c')
})

it('gives hcloud firewalls, networks, volumes and addresses', async () => {
  await good('firewall create --name f')
  await good('firewall add-rule f --direction in --protocol tcp --port 22 --source-ips 10.0.0.0/8')
  await good('network create --name n --ip-range 10.0.0.0/16')
  await good('network add-subnet n --type cloud --network-zone eu-central --ip-range 10.0.1.0/24')
  await good('volume create --name v --size 10 --location fsn1')
  await good('server create --name d --type cpx22 --image debian-12 --location fsn1 --firewall f --network n')
  await good('volume attach v --server d')
  expect(JSON.parse(await good('server describe d -o json'))).toMatchObject({
    public_net: { firewalls: [{ status: 'applied' }] },
    private_net: [{ ip: '10.0.1.2' }],
  })
  for (const what of ['isos', 'load-balancer', 'floating-ip', 'certificate', 'placement-group']) {
    await good(`${what.replace(/s$/, '')} list`)
  }
  await good('server delete d')
  await sim.settled()
  for (const line of ['volume delete v', 'firewall delete f', 'network delete n']) await good(line)
})

const python = `
import os, sys
from hcloud import Client, APIException
from hcloud.images.domain import Image
from hcloud.server_types.domain import ServerType
from hcloud.locations.domain import Location

client = Client(token=os.environ["HCLOUD_TOKEN"], api_endpoint=os.environ["HCLOUD_ENDPOINT"], poll_interval=0.05)
key = client.ssh_keys.get_by_fingerprint(sys.argv[1])
made = client.servers.create(name="py", server_type=ServerType(name="cx23"), image=Image(name="ubuntu-24.04"),
    ssh_keys=[key], location=Location(name="nbg1"), labels={"gibil": "1"})
made.action.wait_until_finished()
for action in made.next_actions: action.wait_until_finished()
server = client.servers.get_by_name("py")
print(server.status, server.public_net.ipv4.ip, made.root_password)
print([s.name for s in client.servers.get_all(label_selector="gibil in (1,2)")])
client.servers.power_off(server).wait_until_finished()
image = client.servers.create_image(server, description="golden", labels={"golden": "1"})
image.action.wait_until_finished()
print([i.description for i in client.images.get_all(label_selector="golden")])
client.images.delete(image.image)
try: client.servers.create(name="py", server_type=ServerType(name="cx23"), image=Image(name="ubuntu-24.04"))
except APIException as error: print(error.code)
client.servers.delete(server).wait_until_finished()
print(client.servers.get_by_name("py"))
`

it('is driven by python3-hcloud', async () => {
  const key = await readFile(publicKey, 'utf8')
  const { stdout } = await execa('ssh-keygen', ['-E', 'md5', '-lf', publicKey])
  const fingerprint = /MD5:(\S+)/.exec(stdout)?.[1] ?? ''
  expect([...sim.state.project().ssh_keys.values()].map(({ public_key }) => public_key)).toEqual([key.trim()])
  const env = { HCLOUD_ENDPOINT: sim.url, HCLOUD_TOKEN: sim.token }
  const ran = await execa('/usr/bin/python3', ['-c', python, fingerprint], { env })
  expect(ran.stdout.split('\n')).toEqual([
    expect.stringMatching(/^running 198\.18\.0\.\d+ None$/),
    "['py']",
    "['golden']",
    'uniqueness_error',
    'None',
  ])
})
