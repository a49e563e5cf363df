import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leftovers } from '../../../packages/driver-container/test/rig.ts'
import { full } from '../../../test/support/full-form.ts'
import { makeHome, type TestHome } from '../../../test/support/home.ts'
import { makeProject } from '../../../test/support/project.ts'
import { makeTinyImage } from '../../../test/support/tiny-image.ts'
import { namesOf, vm } from '../src/model.ts'
import { savedIn } from '../src/saved.ts'

/** A boot takes a minute where the processor is emulated, and several on a busy host. */
const slow = 900_000
/** One frozen machine for all boxes of the file. */
const size = ['--shape', 'vm', '--cpu', '2', '--memory', '1G', '--disk', '6G']

let home: TestHome

beforeAll(async () => {
  home = await makeHome('vm')
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
}, 2 * slow)
afterAll(() => home?.[Symbol.asyncDispose](), slow)

const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}
const run = (box: string, line: string, user = 'root'): Promise<string> =>
  must('run', box, '--user', user, '--cwd', '/', '--', 'sh', '-ec', line)

const shown = async (box: string): Promise<unknown> => JSON.parse(await must('show', box, '--json'))
const names = 'hostname; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub'
/** Why a box has stopped, each time that nobody asked for it. */
const endings = async (box: string): Promise<unknown[]> =>
  (await must('events', '--json', '--box', box))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ type, data }) => type === 'box.stopped' && data.byItself)
    .map(({ data }) => data.reason)

/** One line each: what tells a machine from every other. */
const identity = [
  'hostname',
  'cat /etc/machine-id',
  'cat /proc/sys/kernel/random/boot_id',
  'cut -d " " -f 2 /etc/ssh/ssh_host_ed25519_key.pub',
  'ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | cut -d " " -f 3',
  'head -c 32 /dev/urandom | od -An -v -tx1 | tr -d " \\n"; echo',
  'cat /sys/class/net/eth0/address',
  "ip -o -4 address show dev eth0 | awk '{print $4}'",
]

let factsOfOne: string[] = []
const factsOf = async (box: string): Promise<string[]> => (await run(box, identity.join('\n'))).trim().split('\n')

function expectOther(one: readonly string[], two: readonly string[]): void {
  expect(one).toHaveLength(identity.length)
  for (const [index, fact] of identity.entries()) {
    expect(one[index], fact).not.toBe('')
    expect(one[index], fact).not.toBe(two[index])
  }
}

/** Its init has nothing to complain of, and the container that was started before answers. */
async function isWell(box: string): Promise<void> {
  const said = await run(
    box,
    'systemctl is-system-running; docker exec kept cat /etc/hostname >/dev/null; docker ps --format {{.Names}}',
  )
  expect(said).toBe('running\nkept\n')
}

/** By what the daemon says of its host. */
async function hasKvm(): Promise<boolean> {
  const { checks } = JSON.parse((await home.gibil(['doctor', '--json'])).stdout)
  const told = checks.find(({ name }: { name: string }) => name === 'box: microvm acceleration')
  return told.state === 'ok' && told.detail.startsWith('KVM boots')
}

describe('a full vm', { timeout: slow }, () => {
  it('is a copy of a machine whose systemd has started all, and a box as any other', async () => {
    await using project = await makeProject('services: [postgres, redis]\ntasks: [psql -c "create table t(a text)"]')
    const created = await home.gibil(['create', ...size, '--name', 'one', '--repo', project.path])
    expect(created.exitCode, created.stderr).toBe(0)
    // Which of both the host is was found out just before.
    expect(created.stderr.split('! No KVM that works on this host: ')).toHaveLength((await hasKvm()) ? 1 : 2)
    await must('create', ...size, '--name', 'two')
    expect(await run('one', 'cat /proc/1/comm; systemctl is-system-running; systemctl --failed --no-legend')).toBe(
      'systemd\nrunning\n',
    )
    expect(await run('one', 'systemctl is-active gibil-boxd.service ssh.socket docker.service')).toBe(
      'active\nactive\nactive\n',
    )
    expect(await run('one', 'uname -r')).toMatch(/-cloud-amd64\n$/)
    expect(await run('one', 'id -un; sudo -n id -un', 'agent')).toBe('agent\nroot\n')
  })

  it('has the databases that its project asked for, for its user and as they are found in tests of projects', async () => {
    expect(await run('one', 'psql -h localhost -U postgres -Atc "show server_encoding" agent', 'agent')).toBe('UTF8\n')
    expect(await run('one', 'psql -Atc "select count(*) from t"; redis-cli set a b; redis-cli save', 'agent')).toBe(
      '0\nOK\nOK\n',
    )
    const services = 'systemctl show --property ActiveState --value postgresql redis-server'
    expect((await run('one', services)).split(/\s+/).slice(0, 2)).toEqual(['active', 'active'])
    expect((await run('two', services)).split(/\s+/).slice(0, 2)).toEqual(['inactive', 'inactive'])
  })

  it('shares no value with another copy that tells a machine, and its SSH server shows its own key', async () => {
    factsOfOne = await factsOf('one')
    const two = await factsOf('two')
    expectOther(factsOfOne, two)
    for (const facts of [factsOfOne, two]) expect(facts[3]).toBe(facts[4])
    const journal = 'until [ -e /var/log/journal/$(cat /etc/machine-id)/system.journal ]; do sleep 0.5; done'
    await run('two', `timeout 120 sh -c '${journal}'`)
  })

  it('has a disk and a memory of the size that was asked for', async () => {
    const [kib = 0, memory = 0] = (
      await run('one', "df -k --output=size / | tail -1; awk '/MemTotal/ {print $2}' /proc/meminfo")
    )
      .trim()
      .split('\n')
      .map(Number)
    expect(kib).toBeGreaterThan(5.5 * 1024 ** 2)
    expect(kib).toBeLessThan(6 * 1024 ** 2)
    expect(memory).toBeGreaterThan(900 * 1024)
    expect(memory).toBeLessThan(1024 * 1024)
  })

  it('runs a container of an image that it imports', async () => {
    expect(await run('two', `${makeTinyImage()} docker run --rm tiny cat /proc/net/route`, 'agent')).toMatch(
      /^eth0\s+00000000\s/m,
    )
    await run('two', 'docker run -d -i --name kept tiny cat', 'agent')
  })

  it('refuses text that cloud-init could not read before anything is made', async () => {
    const file = join(home.path, 'bad')
    await writeFile(file, 'what is this')
    const refused = await home.gibil(['create', ...size, '--name', 'bad', '--cloud-init', file])
    expect(refused.exitCode).not.toBe(0)
    expect(refused.stderr).toContain('says nothing of its kind')
  })

  it.runIf(full)('does what it was given for cloud-init, once', async () => {
    const file = join(home.path, 'user')
    await writeFile(
      file,
      '#cloud-config\nwrite_files: [{path: /etc/given, content: "by cloud-init"}]\nruncmd: ["date >> /root/ran"]\n',
    )
    await must('create', ...size, '--name', 'given', '--cloud-init', file)
    expect(await run('given', 'cat /etc/given; cloud-init status; hostname')).toBe('by cloud-initstatus: done\ngiven\n')
    await must('stop', 'given')
    await must('start', 'given')
    expect(await run('given', 'cloud-init status --wait; wc -l </root/ran; systemctl is-system-running')).toMatch(
      /status: done\n1\nrunning\n$/,
    )
    await must('destroy', 'given', '--yes')
  })

  it.runIf(full)('reboots when it is told to in the box, as itself and with the services of its project', async () => {
    const facts = `${names}; ip -o -4 address show dev eth0 | awk '{print $4}'`
    const before = await run('one', facts)
    const boot = await run('one', 'echo kept > /root/kept; cat /proc/sys/kernel/random/boot_id')
    // What follows waits for it.
    await home.gibil(['run', 'one', '--user', 'root', '--cwd', '/', '--', 'reboot'])
    await expect.poll(() => endings('one'), { timeout: slow }).toEqual(['it rebooted'])
    expect(await run('one', `cat /root/kept; ${facts}`)).toBe(`kept\n${before}`)
    expect(await run('one', 'cat /proc/sys/kernel/random/boot_id')).not.toBe(boot)
    expect((await run('one', 'systemctl is-system-running')).trim()).toBe('running')
    await expect.poll(() => shown('one'), { timeout: slow }).toMatchObject({ readiness: 'ready' })
    expect(await run('one', 'psql -Atc "select count(*) from t"; redis-cli get a', 'agent')).toBe('0\nb\n')
  })

  it.runIf(full)('is stopped when it is powered off in the box, and stays so', async () => {
    await home.gibil(['run', 'one', '--user', 'root', '--cwd', '/', '--', 'systemctl', 'poweroff'])
    await expect.poll(() => endings('one'), { timeout: slow }).toEqual(['it rebooted', 'it powered itself off'])
    expect(await shown('one')).toMatchObject({ status: 'stopped', failure: null })
    expect((await home.gibil(['run', 'one', '--', 'true'])).stderr).toContain('gibil start one')
  })

  it.runIf(full)('keeps its disk, its key and its names over stop and start, by a boot of its own', async () => {
    const before = await run('two', `echo kept > /root/kept; ${names}`)
    await must('stop', 'two')
    await must('start', 'two')
    expect(await run('two', `cat /root/kept >&2; ${names}`)).toBe(before)
    expect((await run('two', 'systemctl is-system-running')).trim()).toBe('running')
  })

  it.runIf(full)('goes on after a pause with its services and containers, and the right time', async () => {
    await must('pause', 'two')
    expect(await shown('two')).toMatchObject({ status: 'paused' })
    await isWell('two')
    const now = Number(await run('two', 'date +%s'))
    expect(Math.abs(now - Date.now() / 1000)).toBeLessThan(60)
  })

  it('is forked with its memory: services and containers go on in the fork, which is another machine', async () => {
    await must('snapshot', 'two', 'saved', '--memory')
    await must('fork', 'saved', '--name', 'three')
    await isWell('three')
    expectOther(await factsOf('three'), await factsOf('two'))
    await isWell('two')
  })

  it('is restored to a snapshot with its memory, and is the machine that it was', async () => {
    const same = 'hostname; cat /etc/machine-id; ip -o -4 address show dev eth0 | awk "{print \\$4}"'
    const before = await run('two', `echo new > /root/new; ${same}`)
    await must('restore', 'two', 'saved')
    expect(await run('two', `test ! -e /root/new; ${same}`)).toBe(before)
    await isWell('two')
  })

  it.runIf(full)('is forked from its disk alone by a boot, as another machine', async () => {
    await must('snapshot', 'two', 'disk', '--disk-only')
    await must('fork', 'disk', '--name', 'four')
    expectOther(await factsOf('four'), await factsOf('two'))
    expect(await run('four', 'systemctl is-system-running; docker start kept', 'agent')).toBe('running\nkept\n')
    await must('destroy', 'four', '--yes')
  })

  it.runIf(full)('boots where the frozen machine cannot go on, with values of its own', async () => {
    await must('destroy', 'two', 'three', '--yes')
    // It was whole when this daemon read it.
    const frozen = join(namesOf(vm, home.path).cacheDir, 'frozen')
    for (const name of await readdir(frozen)) await truncate(savedIn(join(frozen, name)).memory, 0)
    await must('create', ...size, '--name', 'cold')
    expect(await readFile(join(home.path, 'gibild.log'), 'utf8')).toContain('could not go on, so the box boots')
    expectOther(await factsOf('cold'), factsOfOne)
    expect(await run('cold', 'systemctl is-system-running; docker ps -q', 'agent')).toBe('running\n')
    await must('destroy', 'cold', '--yes')
  })

  it('leaves nothing when it is destroyed', async () => {
    await must('destroy', '--all', '--yes')
    for (const name of ['saved', ...(full ? ['disk'] : [])]) await must('snapshots', 'rm', name)
    expect(await leftovers(namesOf(vm, home.path).home)).toEqual([])
    expect(await must('ls', '--json')).toBe('[]\n')
  })
})
