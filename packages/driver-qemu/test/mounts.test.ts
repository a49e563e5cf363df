import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { namesIn, readPid } from '@gibil/host'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import { sh } from '../../driver-container/test/rig.ts'
import { boxPaths, microvmNames } from '../src/names.ts'
import { openWorld, type World } from './world.ts'

const bootMs = 240_000

describe('a snapshot that is mounted in a box with a kernel of its own', { timeout: bootMs }, () => {
  let world: World
  const at = '/snapshots/first'
  beforeAll(async () => {
    world = await openWorld()
    await world.driver.create(world.spec('one'))
    await world.run('one', 'mkdir /work && echo before > /work/file && ln -s / /work/out && sync')
    // In the journal of the file system when the snapshot is taken, and not yet where it belongs.
    await world.run('one', 'echo journaled > /work/late && sync /work/late')
    await save('one', 'first')
    await world.run('one', 'echo after > /work/file && rm /work/late')
  }, bootMs)
  afterAll(async () => {
    expect(await world.end()).toEqual([])
  }, bootMs)

  /** With its memory, the disk is saved as it is at this moment, without asking the guest to write anything: as after a loss of power. */
  const save = (box: string, id: string) => world.driver.snapshot?.(box, { id, kind: 'disk+memory' })
  const mount = (path: string, snapshot = 'first') => world.driver.mountSnapshot?.('one', snapshot, path)
  const unmount = (path: string) => world.driver.unmountSnapshot?.('one', path)
  const mounts = () => world.driver.listMounts?.('one')
  const servers = async (): Promise<string[]> =>
    (await namesIn(boxPaths(microvmNames(world.home), 'one').run)).filter((name) => /^disk-.*pid$/.test(name))
  const server = async (): Promise<number> => {
    const [name = ''] = await servers()
    const pid = await readPid(`${boxPaths(microvmNames(world.home), 'one').run}/${name}`)
    if (pid === undefined) throw new Error('nothing serves the snapshot')
    return pid
  }

  it('shows what was, beside what is', async () => {
    expect(await mount(at)).toEqual({ path: at, snapshotId: 'first' })
    expect(await mount(at)).toEqual({ path: at, snapshotId: 'first' })
    expect(await mounts()).toEqual([{ path: at, snapshotId: 'first' }])
    expect(await world.run('one', `cat ${at}/work/file ${at}/work/late /work/file`)).toBe('before\njournaled\nafter\n')
    await expect(world.run('one', 'cat /work/late')).rejects.toThrow()
    expect(await world.run('one', `cmp /bin/bash ${at}/bin/bash && echo same`)).toBe('same\n')
  })

  it('is read and not written, and no way to more rights', async () => {
    await expect(world.run('one', `touch ${at}/work/file`)).rejects.toThrow(/[Rr]ead-only/)
    await expect(world.run('one', `mount -o remount,rw ${at}`)).rejects.toThrow()
    expect(await world.run('one', `grep ' ${at} ' /proc/mounts`)).toMatch(/ext4 ro,nosuid,nodev/)
    await expect(world.run('one', 'dd if=/dev/zero of=/dev/nbd0 bs=4096 count=1')).rejects.toThrow(/not permitted/)
  })

  it('is served by a process that may do nothing, in the cgroup and the network of the box', async () => {
    const status = await readFile(`/proc/${await server()}/status`, 'utf8')
    expect(status).not.toMatch(/^Uid:\t0\t/m)
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    expect(status).toMatch(/^CapEff:\t0+$/m)
    expect(await readFile(`/proc/${await server()}/cgroup`, 'utf8')).toContain('/one')
    // What it writes to has no name that could be left behind.
    const open = (await sh(`readlink /proc/${await server()}/fd/* || true`)).trim().split('\n')
    const scratch = open.filter((path) => path.includes('/mount-'))
    expect(scratch).not.toEqual([])
    for (const path of scratch) expect(path).toMatch(/ \(deleted\)$/)
  })

  it('is there when the daemon was started anew', async () => {
    world = await world.reopen()
    expect(await mounts()).toEqual([{ path: at, snapshotId: 'first' }])
    expect(await world.run('one', `echo 3 > /proc/sys/vm/drop_caches; cat ${at}/work/file`)).toBe('before\n')
  })

  it('is kept while a process uses it, and leaves nothing when it is gone', async () => {
    const pid = (await world.run('one', `cd ${at}; sleep 1000 >/dev/null 2>&1 & echo $!`)).trim()
    await expect(unmount(at)).rejects.toMatchObject({ code: 'file_conflict' })
    expect(await world.run('one', `cat ${at}/work/file; kill ${pid}`)).toBe('before\n')
    await expect.poll(() => unmount(at)?.then(() => 'gone', String)).toBe('gone')
    expect(await mounts()).toEqual([])
    expect(await world.run('one', `ls ${dirname(at)}; grep -c nbd /proc/mounts || true`)).toBe('0\n')
    expect(await servers()).toEqual([])
    const kept = await namesIn(boxPaths(microvmNames(world.home), 'one').kept)
    expect(kept.filter((name) => name.startsWith('mount'))).toEqual([])
    await expect(unmount(at)).rejects.toMatchObject({ code: 'file_not_found' })
  })

  it('takes no place that something is at', async () => {
    await expect(mount('/work')).rejects.toMatchObject({ code: 'file_conflict' })
    await expect(mount('/work/file')).rejects.toMatchObject({ code: 'file_conflict' })
    await expect(mount('/work/out')).rejects.toMatchObject({ code: 'file_conflict' })
    await expect(mount('/proc/self')).rejects.toMatchObject({ code: 'file_conflict' })
    await expect(mount(at, 'unknown')).rejects.toMatchObject({ code: 'snapshot_not_found' })
    expect(await mounts()).toEqual([])
    expect(await servers()).toEqual([])
  })

  it('has a limit, and says so', async () => {
    for (const index of [1, 2, 3, 4]) await mount(`/snapshots/${index}`)
    await expect(mount('/snapshots/5')).rejects.toMatchObject({ code: 'limit_reached' })
    for (const index of [1, 2, 3, 4]) await unmount(`/snapshots/${index}`)
    expect(await servers()).toEqual([])
  })

  it('fails what reads from it when its server is gone, and is gone then', async () => {
    await mount(at)
    await world.run('one', `cd ${at}; sleep 1000 >/dev/null 2>&1 &`)
    process.kill(await server(), 'SIGKILL')
    await expect.poll(mounts).toEqual([])
    expect(await world.run('one', `ls ${dirname(at)}`)).toBe('')
    // What is still used of the old one is not shown as the new one.
    await world.run('one', 'sync')
    await save('one', 'second')
    await mount(at, 'second')
    expect(await world.run('one', `cat ${at}/work/file`)).toBe('after\n')
    await unmount(at)
  })

  // It takes the half minute that the kernel waits for its server.
  it.runIf(full)('fails what reads from it when its server hangs', async () => {
    await mount(at, 'second')
    const pid = await server()
    process.kill(pid, 'SIGSTOP')
    try {
      await world.run('one', 'echo 3 > /proc/sys/vm/drop_caches')
      await expect(world.run('one', `cat ${at}/bin/busybox > /dev/null`)).rejects.toThrow()
      await expect.poll(mounts, { timeout: 30_000 }).toEqual([])
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })

  it('is not in a box that begins as a copy of this one', async () => {
    await mount(at)
    await world.run('one', `cd ${at}; sleep 1000 >/dev/null 2>&1 &`)
    await world.boxd('one').identify({ hostname: 'copy', network: null })
    expect(await mounts()).toEqual([])
    expect(await world.run('one', `ls ${dirname(at)}`)).toBe('')
  })

  it('is gone after a pause', async () => {
    await mount(at)
    await world.run('one', `cd ${at}; sleep 1000 >/dev/null 2>&1 &`)
    await world.driver.pause('one')
    expect(await servers()).toEqual([])
    expect(await mounts()).toEqual([])
    await world.driver.resume('one')
    expect(await mounts()).toEqual([])
    expect(await world.run('one', `ls ${dirname(at)}`)).toBe('')
  })

  it('is gone when the box has stopped', async () => {
    await mount(at)
    await world.driver.stop('one', 5000)
    expect(await mounts()).toEqual([])
    await expect(mount(at)).rejects.toMatchObject({ code: 'wrong_state' })
    await world.driver.start(world.spec('one'))
    expect(await mounts()).toEqual([])
    expect(await world.run('one', `ls ${dirname(at)}`)).toBe('')
    await mount(at)
    expect(await world.run('one', `cat ${at}/work/file`)).toBe('before\n')
  })
})
