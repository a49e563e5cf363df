import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { run } from './boxd-call.ts'
import { leftovers, sh } from './rig.ts'
import { eventually, openWorld, type World } from './world.ts'

let world: World
const at = '/snapshots/first'
beforeAll(async () => {
  world = await openWorld()
  await world.driver.create(world.spec('one'))
  await inBox('mkdir /work; echo before > /work/file; rm -r /var; cp /bin/bash /work/root; chmod 4755 /work/root')
  await inBox('echo mine > /home/agent/mine', 'agent')
  await save('one', 'first')
  await inBox('echo after > /work/file; echo mine > /home/agent/mine')
  await world.driver.create(world.spec('two'))
})
afterAll(async () => {
  expect(await world.end()).toEqual([])
})

const mount = (path: string, snapshot = 'first', id = 'one') => world.driver.mountSnapshot?.(id, snapshot, path)
const unmount = (path: string, id = 'one') => world.driver.unmountSnapshot?.(id, path)
const mounts = (id = 'one') => world.driver.listMounts?.(id)
/** What a command prints; it must succeed. */
async function inBox(command: string, user = 'root', id = 'one'): Promise<string> {
  const { exitCode, output } = await run(world.driver, id, command, user)
  if (exitCode !== 0) throw new Error(`${command}: ${exitCode}: ${output}`)
  return output
}

const save = (box: string, snapshot: string) => world.driver.snapshot?.(box, { id: snapshot, kind: 'disk' })

const hostMounts = async (): Promise<string[]> =>
  (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes('snapshot'))
const loops = async (): Promise<string[]> =>
  (await leftovers(world.home)).filter((line) => line.startsWith('loop') && line.includes('snapshots'))

it('shows what was, over the layers of the image, beside what is', async () => {
  expect(await mount(at)).toEqual({ path: at, snapshotId: 'first' })
  expect(await mount(at)).toEqual({ path: at, snapshotId: 'first' })
  expect(await mounts()).toEqual([{ path: at, snapshotId: 'first' }])
  expect(await inBox(`cat ${at}/work/file /work/file`)).toBe('before\nafter\n')
  expect(await inBox(`cmp /bin/bash ${at}/bin/bash && ls -d ${at}/var /var 2>/dev/null || echo gone`)).toBe('gone\n')
  expect(await inBox(`stat -c '%U %u' ${at}/home/agent/mine ${at}/work ${at}`)).toBe('agent 1000\nroot 0\nroot 0\n')
  expect(await hostMounts()).toEqual([])
  expect(await loops()).toHaveLength(1)
})

it('is read and not written, and raises nobody', async () => {
  await expect(inBox(`touch ${at}/work/file`)).rejects.toThrow(/Read-only/)
  await expect(inBox(`echo mine >> ${at}/home/agent/mine`, 'agent')).rejects.toThrow(/Read-only/)
  await expect(inBox(`umount ${at}`)).rejects.toThrow()
  expect(await inBox(`for root in /work/root ${at}/work/root; do $root -p -c 'echo $EUID'; done`, 'agent')).toBe(
    '0\n1000\n',
  )
  expect(await inBox(`grep ' ${at} ' /proc/mounts`)).toMatch(/ ro,nosuid,nodev,noatime/)
})

it('goes on when the daemon was killed, is kept while a process uses it, and leaves nothing', async () => {
  world = await world.reopen()
  expect(await mounts()).toEqual([{ path: at, snapshotId: 'first' }])
  const pid = (await inBox(`cd ${at}; sleep 1000 >/dev/null 2>&1 & echo $!`)).trim()
  await expect(unmount(at)).rejects.toMatchObject({ code: 'file_conflict' })
  expect(await inBox(`cat ${at}/work/file; kill ${pid}`)).toBe('before\n')
  await eventually('the mount is free', async () => {
    const failed = await unmount(at)?.catch((error: unknown) => error)
    return failed === undefined
  })
  expect(await mounts()).toEqual([])
  expect(await inBox('ls /snapshots')).toBe('')
  await eventually('its loop device is gone', async () => (await loops()).length === 0)
  await expect(unmount(at)).rejects.toMatchObject({ code: 'file_not_found' })
})

it('is shown with the ids of the box that it is mounted in', async () => {
  expect(await mount('/home/agent/old', 'first', 'two')).toEqual({ path: '/home/agent/old', snapshotId: 'first' })
  expect(await inBox('cat mine; stat -c %u mine', 'agent', 'two').catch(String)).toContain('No such file')
  expect(await inBox('cd /home/agent/old; stat -c %u home/agent/mine work/file', 'agent', 'two')).toBe('1000\n0\n')
  expect(await inBox('cat /home/agent/old/home/agent/mine', 'agent', 'two')).toBe('mine\n')
  await unmount('/home/agent/old', 'two')
  expect(await inBox('ls /home/agent', 'agent', 'two')).toBe('')
})

it('takes no place that something is at, and no way out of the box', async () => {
  await inBox('ln -s ../../../../../../etc/evil /up; ln -s /work /link; mkdir -p /empty; ln -s /nowhere /dangling')
  await expect(mount('/work')).rejects.toMatchObject({ code: 'file_conflict' })
  await expect(mount('/work/file')).rejects.toMatchObject({ code: 'file_conflict' })
  await expect(mount('/link')).rejects.toMatchObject({ code: 'file_conflict' })
  await expect(mount('/dangling')).rejects.toMatchObject({ code: 'file_conflict' })
  await expect(mount('/dev/shm')).rejects.toMatchObject({ code: 'file_conflict' })
  await expect(mount('/')).rejects.toMatchObject({ code: 'file_conflict' })
  await expect(mount('/proc/1/root/x')).rejects.toThrow()
  await expect(mount(at, 'unknown')).rejects.toMatchObject({ code: 'snapshot_not_found' })
  expect(await mounts()).toEqual([])
  // A link is followed as the box sees it.
  expect(await mount('/link/sub')).toEqual({ path: '/work/sub', snapshotId: 'first' })
  await unmount('/work/sub')
  await expect(mount('/up/x')).rejects.toMatchObject({ code: 'file_conflict' })
  expect(await sh('ls /etc/evil 2>/dev/null || echo none')).toBe('none\n')
  await mount('/empty')
  await unmount('/empty')
  expect(await inBox('ls -d /empty')).toBe('/empty\n')
  await eventually('no loop device is left', async () => (await loops()).length === 0)
})

it('takes away nothing but what was mounted so', async () => {
  await expect(unmount('/proc')).rejects.toMatchObject({ code: 'file_not_found' })
  await expect(unmount('/proc/kcore')).rejects.toMatchObject({ code: 'file_not_found' })
  await expect(unmount('/')).rejects.toMatchObject({ code: 'file_not_found' })
})

it('is there after a pause, and gone when the box has stopped', async () => {
  await mount(at)
  await world.driver.pause('one')
  expect(await mounts()).toEqual([{ path: at, snapshotId: 'first' }])
  await expect(mount('/other')).rejects.toMatchObject({ code: 'wrong_state' })
  await world.driver.resume('one')
  expect(await inBox(`cat ${at}/work/file`)).toBe('before\n')
  await inBox(`cd ${at}; sleep 1000 >/dev/null 2>&1 &`)
  await world.driver.stop('one', 1000)
  expect(await mounts()).toEqual([])
  await eventually('its loop device is gone', async () => (await loops()).length === 0)
  await world.driver.start(world.spec('one'))
  expect(await mounts()).toEqual([])
  await mount(at)
  expect(await inBox(`cat ${at}/work/file`)).toBe('before\n')
})
