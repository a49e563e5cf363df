import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type CloudHome, makeCloudHome } from './support/cloud/cloud-home.ts'
import { checksumOfTree, oddFiles } from './support/odd-tree.ts'
import { makeSmallImage } from './support/small-image.ts'

/**
 * A box that is carried to a cloud and back. Machines there are processes with a small system on their disk, since the way back carries all of it: the box leaves with what the machine
 * had, too. `move-chain-of-microvms.test.ts` has real machines.
 */
const slow = 300_000

let cloud: CloudHome

beforeAll(async () => {
  cloud = await makeCloudHome('small')
  await cloud.home.startDaemon()
  await makeSmallImage(cloud.home, 'small')
}, slow)
afterEach(() => cloud?.sim.faults.clear())
afterAll(() => cloud?.[Symbol.asyncDispose](), slow)

const must = async (...args: string[]): Promise<string> => {
  const result = await cloud.home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}
const inside = (line: string): Promise<string> => must('run', 'odd', '--user', 'root', '--', 'sh', '-ec', line)

describe('a box that is moved to a cloud', { timeout: slow }, () => {
  it('stays as it is when all is sold out there', async () => {
    await must('create', '--image', 'small', '--name', 'odd', '--shape', 'container', '--ttl', '3h', '--disk', '4G')
    await inside(oddFiles)
    cloud.sim.faults.add({ kind: 'sold_out', location: 'fsn1', listed: true })
    const refused = await cloud.home.gibil(['move', 'odd', '--provider', 'hetzner', '--location', 'fsn1', '--yes'])
    expect(refused.exitCode).not.toBe(0)
    expect(refused.stderr).toMatch(/sold out|no machine/)
    expect(await inside('cat /work/file')).toBe('hello\n')
    expect(cloud.left()).toEqual({})
  })

  it('has the same files there, and what its machine needs of itself', async () => {
    const before = await inside(checksumOfTree)
    const { id } = JSON.parse(await must('show', 'odd', '--json'))
    const moved = JSON.parse(await must('move', 'odd', '--provider', 'hetzner', '--size', 'small', '--yes', '--json'))
    expect(moved.box).toMatchObject({ id, name: 'odd', provider: 'hetzner', shape: 'vm', cost: { billed: true } })
    expect(await inside(checksumOfTree)).toBe(before)
    // Accounts of both, and those of the machine in their places.
    expect(await inside('cat /etc/passwd')).toMatch(/^agent:x:1000:.*^sshd:/ms)
    expect(cloud.left()).toMatchObject({ servers: 1 })
  })

  it('comes back as a container with the same files, and leaves nothing there', async () => {
    const before = await inside(checksumOfTree)
    const { id, lease } = JSON.parse(await must('show', 'odd', '--json'))
    const back = ['--shape', 'container', '--size', 'small', '--disk', '4G']
    const moved = JSON.parse(await must('move', 'odd', ...back, '--yes', '--json'))
    expect(moved).toMatchObject({ changed: [], box: { id, name: 'odd', provider: 'local', shape: 'container' } })
    expect(moved.box.lease).toEqual({ ...lease, onIdle: 'pause', deadlineAtProvider: null })
    expect(await inside(checksumOfTree)).toBe(before)
    expect(cloud.left()).toEqual({})
    await must('destroy', 'odd', '--yes')
  })
})
