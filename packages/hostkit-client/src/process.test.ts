import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GibilError } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createHostKit, type HostKit } from './hostkit.ts'

/** What the client makes of a hostkit that does not do what it should: scripts in its place. */

let dir: string
let hostkit: HostKit | undefined

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-hostkit-process-'))
})
afterEach(async () => {
  await hostkit?.close()
  hostkit = undefined
  await rm(dir, { recursive: true })
})

async function start(script: string, onExit?: (error: GibilError) => void): Promise<HostKit> {
  const binary = join(dir, 'hostkit')
  await writeFile(binary, `#!/bin/sh\n${script}\n`)
  await chmod(binary, 0o755)
  hostkit = createHostKit({ binary, onExit })
  return hostkit
}

describe('a hostkit that fails', () => {
  it('that is not built is a missing tool', async () => {
    hostkit = createHostKit({ binary: join(dir, 'none') })
    await expect(hostkit.ping()).rejects.toMatchObject({ code: 'missing_tool' })
    await expect(hostkit.ping()).rejects.toMatchObject({ code: 'missing_tool' })
  })

  it('that ends fails every call under way, with what it said, and is reported once', async () => {
    const ends: GibilError[] = []
    const kit = await start('read a; read b; echo "no more" >&2; exit 7', (error) => ends.push(error))
    const calls = await Promise.allSettled([kit.ping(), kit.netDestroy({ netns: 'x' })])
    for (const call of calls) {
      expect(call).toMatchObject({
        status: 'rejected',
        reason: { code: 'driver_failed', details: { stderr: 'no more\n' } },
      })
    }
    expect(ends.map(({ message }) => message)).toEqual(['hostkit ended unexpectedly (exit status 7).'])
  })

  it('that answers nonsense, to nobody, or in another shape does no harm to other calls', async () => {
    const kit = await start(
      `read a; echo '}'; echo '{"id":99,"ok":true}'; echo '{"id":1,"ok":true,"result":{"pid":"one"}}'
       read b; echo '{"id":2,"ok":true,"result":{"version":"1","pid":1}}'; read c`,
    )
    await expect(kit.ping()).rejects.toMatchObject({ code: 'driver_failed', details: { op: 'ping' } })
    expect(await kit.ping()).toEqual({ version: '1', pid: 1 })
  })

  it('that answers without end is killed before it fills the memory', async () => {
    const kit = await start('read a; yes | tr -d "\\n"')
    await expect(kit.ping()).rejects.toMatchObject({
      code: 'driver_failed',
      message: expect.stringContaining('SIGKILL'),
    })
  })

  it.each([
    ['ENOSPC', 'disk_full'],
    ['EPERM', 'needs_root'],
    ['missing_tool', 'missing_tool'],
    ['EAGAIN', 'busy'],
    ['EBUSY', 'driver_failed'],
  ])('that answers %s throws %s', async (errno, code) => {
    const kit = await start(`read a; echo '{"id":1,"ok":false,"error":{"code":"${errno}","message":"told"}}'; read b`)
    const call = kit.diskCreate({ image: '/x', sizeMib: 16 })
    await expect(call).rejects.toMatchObject({ code, details: { errno, op: 'disk.create' } })
    await expect(call).rejects.toThrow('told')
  })
})

describe('the end', () => {
  it('waits for calls under way, but not for watches', async () => {
    const kit = await start(
      'read a; read b; sleep 0.3; echo \'{"id":2,"ok":true,"result":{"version":"1","pid":1}}\'; read c',
    )
    const watch = kit.procWatch({ pid: 1, key: 'a' })
    const ping = kit.ping()
    const [, , watched] = await Promise.all([ping, kit.close(), watch.catch((error: unknown) => error)])
    expect(await ping).toEqual({ version: '1', pid: 1 })
    expect(watched).toMatchObject({ code: 'interrupted' })
    await expect(kit.ping()).rejects.toMatchObject({ code: 'interrupted' })
  })

  it('is not news', async () => {
    const ends: GibilError[] = []
    const kit = await start('read a; echo \'{"id":1,"ok":true,"result":{"version":"1","pid":1}}\'; read b', (error) =>
      ends.push(error),
    )
    await kit.ping()
    await kit.close()
    expect(ends).toEqual([])
  })
})
