import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type CloudHome, makeCloudHome } from './support/cloud/cloud-home.ts'
import { full } from './support/full-form.ts'

/**
 * What may go wrong with a box of a cloud, as its user sees it: by the CLI, through daemon and driver, at the simulator. In order, since the box is one for most.
 * All of it: `GIBIL_FULL=1 npm test -- e2e test/cloud-bad-luck.test.ts`.
 */

const slow = 300_000
const soon = { timeout: 60_000, interval: 250 }

let cloud: CloudHome

const gibil = (...args: string[]) => cloud.home.gibil(args)
const must = async (...args: string[]): Promise<string> => {
  const result = await gibil(...args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
const mustCreate = async (name: string): Promise<void> => {
  const made = await create(name)
  expect(made.exitCode, made.stderr).toBe(0)
}
const create = (name: string, ...args: string[]) =>
  gibil('create', '--provider', 'hetzner', '--name', name, '--ttl', '1h', ...args)
const show = async (name: string) => JSON.parse(await must('show', name, '--json'))
const statuses = async (): Promise<string[]> =>
  JSON.parse(await must('list', '--json')).map((box: { name: string; status: string }) => `${box.name} ${box.status}`)
const restart = async (env: Record<string, string> = {}): Promise<void> => {
  await gibil('down')
  expect((await cloud.home.startDaemon(env)).exitCode).toBe(0)
}
const posts = (): number =>
  cloud.sim.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/servers')).length
const whole = { servers: 1, ssh_keys: 1, firewalls: 1, primary_ips: 2 }

beforeAll(async () => {
  cloud = await makeCloudHome()
  await cloud.home.startDaemon()
}, slow)
afterEach(() => cloud?.sim.faults.clear())
afterAll(() => cloud?.[Symbol.asyncDispose](), slow)

describe('a box of a cloud', { timeout: slow }, () => {
  it('is made once when the answer to its making is lost', async () => {
    cloud.sim.faults.add({ kind: 'lost_answer', method: 'POST', path: '/servers', times: 1 })
    await mustCreate('work')
    expect(posts()).toBe(1)
    expect(cloud.left()).toEqual(whole)
    expect(await must('run', 'work', 'echo whole')).toBe('whole\n')
    expect(JSON.parse(await must('cost', '--json')).currencies[0].total).toBe('0.0096')
  })

  it('has the token of the cloud nowhere in it', async () => {
    const { token } = cloud.sim
    const { id } = cloud.server()
    const data = cloud.sim.state.project().servers.get(id)?.user_data ?? ''
    const text = data.startsWith('Content-Type') ? data : gunzipSync(Buffer.from(data, 'base64')).toString()
    expect(text).toContain('gibil-dead-man')
    expect(text).not.toContain(token)
    // What every process of the box was told, what it keeps in memory that has a name, and all files that it has and this host has not.
    const inside = `cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; find /run /tmp /home /root -xdev -type f -exec cat {} +`
    const search = async (): Promise<string[]> => {
      const files = await execa('grep', ['-rlF', token, cloud.machines.filesOf(id)], { reject: false })
      const told = await cloud.machines.inside(id, inside)
      const seen = await must('run', 'work', 'env; sudo -n env')
      return [...files.stdout.split('\n').filter(Boolean), ...(`${told}${seen}`.includes(token) ? ['inside'] : [])]
    }
    expect(await search()).toEqual([])
    // It would be found.
    await must('run', 'work', `echo ${token} > kept; echo ${token} > /tmp/kept`)
    expect(await search()).toEqual([expect.stringContaining('/home/agent/kept'), 'inside'])
    await must('run', 'work', 'rm kept /tmp/kept')
  })

  it('goes on while the network is gone, and so do its commands', async () => {
    const ticks = 'i=0; while sleep 0.2; do i=$((i + 1)); echo $i >> ticks; done'
    await must('run', 'work', '--detach', ticks)
    const back = await cloud.machines.cutOff(cloud.server().id)
    cloud.sim.faults.add({ kind: 'lost_request' })
    // Longer than the connection is kept: after 40 s without a sign of life it is given up.
    await new Promise((done) => setTimeout(done, full ? 120_000 : 3000))
    expect(await statuses()).toEqual(['work running'])
    cloud.sim.faults.clear()
    await back()
    expect((await gibil('run', 'work', '--detach', 'true')).exitCode).toBe(0)
    const lines = (await must('run', 'work', 'cat ticks')).trim().split('\n').map(Number)
    // None is missing, and it is the same command that counts.
    expect(lines).toEqual(lines.map((_, index) => index + 1))
    await expect.poll(async () => (await must('run', 'work', 'wc -l < ticks')).trim(), soon).not.toBe(`${lines.length}`)
    expect(await statuses()).toEqual(['work running'])
  })

  it('whose machine shows another host key is refused, loudly', async () => {
    const { id } = cloud.server()
    const change = (how: string) =>
      cloud.machines.inside(
        id,
        `cd /etc/ssh; ${how}; kill -HUP 1; sleep 0.3; kill $(pgrep -f 'sshd: [a]gent') 2> /dev/null || true`,
      )
    await change(
      `cp ssh_host_ed25519_key /run/own; rm ssh_host_ed25519_key; ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key`,
    )
    await expect
      .poll(async () => (await gibil('run', 'work', 'echo here')).stderr, soon)
      .toMatch(/SHA256:[\s\S]*SHA256:/)
    const { exitCode, stdout } = await gibil('run', 'work', '--json', 'echo here')
    expect(exitCode).toBe(125)
    expect(stdout).toContain('host_key_mismatch')
    expect(stdout).not.toContain('here\n')
    await change('cp /run/own ssh_host_ed25519_key')
    await expect.poll(async () => (await gibil('run', 'work', 'echo here')).stdout, soon).toBe('here\n')
  })

  it.each([
    ['read', 'Read & Write'],
    ['revoked', 'token'],
  ] as const)('cannot be made with a token that is %s; what is there goes on', async (access, says) => {
    cloud.sim.faults.add({ kind: 'token', access })
    const made = await create('other')
    expect(made).toMatchObject({ exitCode: 5, stderr: expect.stringContaining(says) })
    expect(await must('run', 'work', 'echo whole')).toBe('whole\n')
    cloud.sim.faults.clear()
    await expect.poll(statuses, soon).toEqual(['work running'])
    expect(cloud.left()).toEqual(whole)
  })

  it('of another project is not taken as gone', async () => {
    await restart({ HCLOUD_TOKEN: 'of-another-project' })
    const { exitCode, stderr } = await gibil('stop', 'work')
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('another project') })
    const ran = await gibil('run', 'work', 'true')
    expect(ran).toMatchObject({ exitCode: 125, stderr: expect.stringContaining('another project') })
    expect(await statuses()).toEqual(['work running'])
    await restart()
    expect(await must('run', 'work', 'echo whole')).toBe('whole\n')
    expect(cloud.left()).toEqual(whole)
    expect(cloud.left('other')).toEqual({})
  })

  it('is not made where all is sold out: what was tried is said, and what else there is', async () => {
    cloud.sim.faults.add({ kind: 'sold_out', location: 'fsn1', listed: true })
    const { exitCode, stderr } = await create('other', '--location', 'fsn1', '--max-hourly', '0.02')
    expect(exitCode).not.toBe(0)
    expect(stderr).toMatch(/cx23 in fsn1, cx33 in fsn1/)
    expect(stderr).toMatch(/There is still: cx23 in nbg1 \(0\.0096 EUR an hour\)/)
    cloud.sim.faults.clear()
    expect(cloud.left()).toEqual(whole)
  })

  it('whose cloud-init fails is not kept, and its last lines are told', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'gibil-cloud-init-'))
    const file = join(dir, 'user-data')
    await writeFile(file, '#!/bin/sh\necho "E: Unable to locate package nonsense"\nexit 1\n')
    const { exitCode, stderr } = await create('other', '--cloud-init', file)
    await rm(dir, { recursive: true })
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('cloud-init failed')
    expect(stderr).toContain('E: Unable to locate package nonsense')
    expect(cloud.left()).toEqual(whole)
  })

  it.runIf(full)(
    'of a fleet that meets the limit of the project: those that are there are told and kept, or all removed, as is asked',
    async () => {
      cloud.sim.faults.add({ kind: 'quota', resource: 'server', max: 3 })
      const kept = await create('f', '--fleet', '5')
      expect(kept.exitCode).toBe(1)
      expect(kept.stderr).toContain('2 of 5 boxes are there')
      expect(kept.stderr.match(/limit/g)?.length).toBeGreaterThanOrEqual(3)
      expect(cloud.left()).toEqual({ servers: 3, ssh_keys: 3, firewalls: 3, primary_ips: 6 })
      for (const name of (await statuses()).filter((one) => one.startsWith('f-')))
        await must('destroy', name.split(' ')[0] ?? '')
      const none = await create('f', '--fleet', '5', '--on-partial', 'destroy')
      expect(none.exitCode).toBe(1)
      expect(none.stderr).toContain('none of 5 boxes are there')
      expect(await statuses()).toEqual(['work running'])
      expect(cloud.left()).toEqual(whole)
      cloud.sim.faults.clear()
    },
  )

  it.runIf(full)('begins again with an SSH key that is there under another name, which stays', async () => {
    await must('run', 'work', 'echo kept > file; sync')
    await must('stop', 'work', '--snapshot')
    const { ssh_keys } = cloud.sim.state.project()
    const [key] = ssh_keys.values()
    Object.assign(key ?? {}, { name: 'mine', labels: {} })
    await must('start', 'work')
    expect(await must('run', 'work', 'cat file')).toBe('kept\n')
    expect(cloud.left()).toEqual(whole)
    await must('destroy', 'work')
    expect([...ssh_keys.values()].map(({ name }) => name)).toEqual(['mine'])
    ssh_keys.clear()
    expect(cloud.left()).toEqual({})
  })

  it('whose server somebody removes is failed and says why; the rest of it goes, and nothing is billed', async () => {
    // The long form has destroyed it.
    if (full) await mustCreate('work')
    const url = `${cloud.sim.url}/servers/${cloud.server().id}`
    await fetch(url, { method: 'DELETE', headers: { authorization: `Bearer ${cloud.sim.token}` } })
    await expect.poll(statuses, soon).toEqual(['work failed'])
    const { failure, cost } = await show('work')
    expect(failure).toMatchObject({ code: 'box_ended', message: expect.stringContaining('removed at Hetzner Cloud') })
    expect(cost.billed).toBe(false)
    expect(cloud.left()).toEqual({})
    expect((await gibil('start', 'work')).stderr).toContain('removed at Hetzner Cloud')
    await must('destroy', 'work')
  })

  it('outlives the records of its home, which may adopt it', async () => {
    await mustCreate('work')
    await gibil('down')
    await rm(join(cloud.home.path, 'gibil.db'))
    await cloud.home.startDaemon()
    await must('sweep')
    expect(cloud.left()).toEqual(whole)
    expect(await statuses()).toEqual([])
    await must('adopt', 'work', '--yes')
    expect(await must('run', 'work', 'echo still here')).toBe('still here\n')
    await must('destroy', 'work')
    expect(cloud.left()).toEqual({})
  })

  it.runIf(full)(
    'whose lease ends while no daemon runs is ended by a sweep from an empty home, with the token alone',
    async () => {
      await mustCreate('work')
      await gibil('down')
      const env = { GIBIL_HOME: '/nonexistent/home' }
      const sweep = () => cloud.home.gibil(['sweep', '--provider', 'hetzner', '--json'], { env })
      expect(JSON.parse((await sweep()).stdout)).toEqual({ swept: [] })
      expect(cloud.left()).toEqual(whole)
      // An hour passes, for those who read the label.
      const { servers } = cloud.sim.state.project()
      for (const { labels } of servers.values()) Object.assign(labels, { 'gibil/deadline': '1000' })
      expect(JSON.parse((await sweep()).stdout)).toMatchObject({ swept: [{ name: 'work', failure: null }] })
      expect(cloud.left()).toEqual({})
      await cloud.home.startDaemon()
      await expect.poll(statuses, soon).toEqual(['work failed'])
      expect((await show('work')).failure.message).toContain('Nothing is left')
      await must('destroy', 'work')
    },
  )
})
