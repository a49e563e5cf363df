import { readFile, stat, writeFile } from 'node:fs/promises'
import { homeNames } from '@gibil/host'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { boxPaths } from '../src/box-paths.ts'
import { run } from './boxd-call.ts'
import { sh } from './rig.ts'
import { openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
  await world.driver.create(world.spec('box'))
})
afterAll(async () => {
  expect(await world.end()).toEqual([])
})

const inBox = (command: string, user = 'root') => run(world.driver, 'box', command, user)

it('has root that is nobody on the host', async () => {
  const pid = (await readFile(boxPaths(homeNames(world.home), 'box').pidFile, 'utf8')).trim()
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])
  expect(uid).toBeGreaterThanOrEqual(0x7000_0000)
  expect((await inBox('id -u; cat /proc/self/uid_map')).output).toMatch(new RegExp(`^0\\n\\s+0\\s+${uid}\\s+65536`))
  expect(/^CapBnd:\s+(\S+)/m.exec(status)?.[1]).toBe('00000000a00c25fb')
  expect(/^Seccomp:\s+2/m.test(status)).toBe(true)
})

it('sees the image with its owners, and writes to its own disk only', async () => {
  expect((await inBox('stat -c %u:%g /bin/bash /home/agent /')).output).toBe('0:0\n1000:1000\n0:0\n')
  const layer = world.spec('box').image.layers[0] ?? ''
  const before = (await stat(`${layer}/bin/bash`)).mtimeMs
  expect((await inBox('echo spoilt > /bin/busybox.new && rm /bin/sed && touch /bin/bash && echo done')).output).toBe(
    'done\n',
  )
  expect((await stat(`${layer}/bin/bash`)).mtimeMs).toBe(before)
  await stat(`${layer}/bin/busybox`)
  await expect(stat(`${layer}/bin/busybox.new`)).rejects.toThrow('ENOENT')
})

it('sees no process, mount or device of the host', async () => {
  expect((await inBox('cat /proc/1/cmdline | tr "\\0" " "')).output).toBe('/run/gibil/boxd --fd 3 ')
  expect((await inBox('ls /dev')).output.trim().split('\n').toSorted()).toEqual(
    'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero'.split(' '),
  )
  expect((await inBox('ls /sys /sys/class 2>&1')).output).not.toMatch(/block|dmi|firmware/)
  expect((await inBox('cat /proc/kallsyms /proc/keys /proc/timer_list 2>&1 | head -c 100')).output).toBe('')
  expect((await inBox('cat /proc/self/cgroup')).output).not.toContain(homeNames(world.home).prefix)
})

describe.each(['root', 'agent'])('%s in the box', (user) => {
  it.each([
    ['mount a file system', 'mount -t tmpfs none /tmp'],
    ['make a namespace', 'unshare -U true'],
    ['make a network namespace', 'unshare -n true'],
    ['change the name of the box for others', 'hostname other'],
    ['change a setting of the kernel', 'echo 1 > /proc/sys/kernel/panic'],
    ['reboot', 'echo b > /proc/sysrq-trigger'],
    ['replace boxd', 'echo x > /run/gibil/boxd'],
    [
      'raise its limits',
      'ls /sys/fs/cgroup/memory/memory.limit_in_bytes && echo -1 > /sys/fs/cgroup/memory/memory.limit_in_bytes || ls /sys/fs/cgroup/memory.peak && echo max > /sys/fs/cgroup/memory.max',
    ],
    ['make a device', 'busybox mknod /tmp/disk b 7 0'],
    ['read the memory of the host', 'dd if=/proc/kcore of=/dev/null bs=1 count=1'],
    ['load a module', 'busybox insmod /bin/bash'],
    ['change an address', 'busybox ip address add 10.9.9.9/24 dev eth0'],
    ['leave by the root directory', 'ls /../../../../var/tmp/gibil-test-driver-container'],
    ['be preferred by the memory killer', 'echo -1000 > /proc/self/oom_score_adj'],
  ])('cannot %s', async (_, command) => {
    expect((await inBox(`(${command}) > /dev/null 2>&1`, user)).exitCode).not.toBe(0)
  })
})

it('can do what its users expect', async () => {
  expect(
    (await inBox('chown agent /tmp && chmod 1777 /tmp && touch /var/x && chown 1000 /var/x && stat -c %u /var/x'))
      .output,
  ).toBe('1000\n')
  expect((await inBox('busybox chroot / /bin/true && echo ok')).output).toBe('ok\n')
  expect(
    (
      await inBox(
        // Its input has no end: it would hang up before the other has said anything.
        'mkfifo /tmp/never; busybox nc -l -p 80 <>/tmp/never & for i in $(seq 20); do echo hi | busybox nc -w 1 127.0.0.1 80 && break; sleep 0.2; done; sleep 0.5; kill %1 2>/dev/null; wait; echo end',
      )
    ).output,
  ).toContain('hi')
  expect((await inBox('probe ping 127.0.0.1')).output).toBe('pong\n')
  expect((await inBox('ls -d /sys/devices/system/cpu/cpu0; ulimit -n')).output).toMatch(/cpu0\n\d{4,}/)
})

it('cannot be made to write outside of the box by links in its /etc', async () => {
  const { driver } = world
  const spec = world.spec('liar')
  await driver.create(spec)
  const target = `${world.home}/target`
  await writeFile(target, 'mine')
  await run(
    driver,
    'liar',
    `rm /etc/hosts /etc/resolv.conf; ln -s ${target} /etc/hosts; ln -s ${target} /etc/resolv.conf; mv /etc /etc2; ln -s ${world.home} /etc`,
  )
  await driver.stop('liar', 500)
  await driver.start(spec)
  expect(await readFile(target, 'utf8')).toBe('mine')
  await driver.destroy('liar')
  expect(await readFile(target, 'utf8')).toBe('mine')
})

it('hides the files of a box from other users of the host, and its socket from all', async () => {
  const paths = boxPaths(homeNames(world.home), 'box')
  const asNobody = (command: string) =>
    sh(`setpriv --reuid 65534 --regid 65534 --clear-groups bash -c '${command}' 2>&1 || true`)
  expect(await asNobody(`ls ${paths.rootfs}`)).toContain('Permission denied')
  expect(await asNobody(`ls ${paths.kept}`)).toContain('Permission denied')
  expect((await stat(paths.socket)).mode & 0o777).toBe(0o600)
})

it('does not take what the first process prints to the host', async () => {
  await inBox('for i in $(seq 1 2000); do echo "a line of some length to fill the log with" > /proc/1/fd/2; done')
  const paths = boxPaths(homeNames(world.home), 'box')
  expect(
    (await sh(`find ${world.home} ${homeNames(world.home).runDir} -xdev -type f -size +64k ! -name '*.img'`)).trim(),
  ).toBe('')
  expect((await stat(paths.log)).dev).not.toBe((await stat(world.home)).dev)
})
