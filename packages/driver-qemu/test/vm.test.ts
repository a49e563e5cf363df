import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leftovers } from '../../../packages/driver-container/test/rig.ts'
import { full } from '../../../test/support/full-form.ts'
import { makeHome, type TestHome } from '../../../test/support/home.ts'
import { makeProject } from '../../../test/support/project.ts'
import { namesOf, vm } from '../src/model.ts'

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

describe('a full vm', { timeout: slow }, () => {
  it('is a copy of a machine whose systemd has started all, and a box as any other', async () => {
    await using project = await makeProject('services: [postgres, redis]\ntasks: [psql -c "create table t(a text)"]')
    await must('create', ...size, '--name', 'one', '--repo', project.path)
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
    expect(await run('one', 'psql -Atc "select count(*) from t"; redis-cli set a b', 'agent')).toBe('0\nOK\n')
    const services = 'systemctl show --property ActiveState --value postgresql redis-server'
    expect((await run('one', services)).split(/\s+/).slice(0, 2)).toEqual(['active', 'active'])
    expect((await run('two', services)).split(/\s+/).slice(0, 2)).toEqual(['inactive', 'inactive'])
  })

  it('shares no value with another copy that tells a machine, and its SSH server shows its own key', async () => {
    const [one = [], two = []] = await Promise.all(
      ['one', 'two'].map(async (box) => (await run(box, identity.join('\n'))).trim().split('\n')),
    )
    expect(one).toHaveLength(identity.length)
    for (const [index, fact] of identity.entries()) {
      expect(one[index], fact).not.toBe('')
      expect(one[index], fact).not.toBe(two[index])
    }
    expect(one[3]).toBe(one[4])
    expect(two[3]).toBe(two[4])
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
    const rootfs = `
work=$(mktemp -d); cd "$work"; mkdir -p root/bin
for program in sh cat; do
  cp -L "$(command -v $program)" root/bin/
  ldd "$(command -v $program)" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "root$(dirname "$library")"; cp -L "$library" "root$library"
  done
done
tar -c -C root . | docker import - tiny >/dev/null
docker run --rm tiny cat /proc/net/route`
    expect(await run('one', rootfs, 'agent')).toMatch(/^eth0\s+00000000\s/m)
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

  it('keeps its disk, its key and its names over stop and start, by a boot of its own', async () => {
    const names = 'hostname; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub'
    const before = await run('two', names)
    const boot = await run('two', 'echo kept > /root/kept; cat /proc/sys/kernel/random/boot_id')
    await must('stop', 'two')
    await must('start', 'two')
    expect(await run('two', `cat /root/kept; ${names}`)).toBe(`kept\n${before}`)
    expect(await run('two', 'cat /proc/sys/kernel/random/boot_id')).not.toBe(boot)
    expect((await run('two', 'systemctl is-system-running')).trim()).toBe('running')
  })

  it('leaves nothing when it is destroyed', async () => {
    await must('destroy', 'one', 'two', '--yes')
    expect(await leftovers(namesOf(vm, home.path).home)).toEqual([])
    expect(await must('ls', '--json')).toBe('[]\n')
  })
})
