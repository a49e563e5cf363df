import { Sandbox, Volume, VolumeNotFoundError, VolumePathNotFoundError } from 'e2b'
import { expect, test } from 'vitest'
import type { TestHome } from '../../../test/support/home.ts'

interface Given {
  readonly home: () => TestHome
  readonly connection: () => { apiKey: string; apiUrl: string; sandboxUrl: string }
  readonly newKey: (name: string, ...options: string[]) => Promise<string>
}

/** Volumes as the unmodified SDK has them. */
export function volumeCases({ home, connection, newKey }: Given): void {
  test('are in several sandboxes at once, and outlive them', async () => {
    const volume = await Volume.create('shared', connection())
    const at = { apiUrl: connection().apiUrl }
    expect(await Volume.list(connection())).toEqual([{ volumeId: volume.volumeId, name: 'shared' }])
    await volume.writeFile('/seed/first', 'from outside', { ...at, force: true })
    const mounted = { ...connection(), volumeMounts: { '/mnt/data': volume } }
    const [one, two] = await Promise.all([Sandbox.create(mounted), Sandbox.create(mounted)])
    expect(await one.files.read('/mnt/data/seed/first')).toBe('from outside')
    await one.commands.run('echo by one > /mnt/data/seed/second')
    expect(await two.files.read('/mnt/data/seed/second')).toBe('by one\n')
    const again = await Volume.connect(volume.volumeId, connection())
    expect(await again.readFile('/seed/second', at)).toBe('by one\n')
    const files = await again.list('/', { ...at, depth: 2 })
    expect(files.map(({ path, type }) => [path, type])).toEqual([
      ['/seed', 'directory'],
      ['/seed/first', 'file'],
      ['/seed/second', 'file'],
    ])
    await expect(Volume.destroy(volume.volumeId, connection())).rejects.toThrow(/is in 2 boxes/)
    const { volumeMounts } = (await (
      await fetch(`${connection().apiUrl}/sandboxes/${two.sandboxId}`, {
        headers: { 'x-api-key': connection().apiKey },
      })
    ).json()) as { volumeMounts: unknown }
    expect(volumeMounts).toEqual([{ name: 'shared', path: '/mnt/data' }])
    await Promise.all([one.kill(), two.kill()])
    const later = await Sandbox.create(mounted)
    expect(await later.files.read('/mnt/data/seed/second')).toBe('by one\n')
    await later.kill()
    expect(await Volume.destroy(volume.volumeId, connection())).toBe(true)
    expect(await Volume.destroy(volume.volumeId, connection())).toBe(false)
    await expect(again.readFile('/seed/second', at)).rejects.toThrow(VolumePathNotFoundError)
  })

  test('have files of any kind from outside', async () => {
    const volume = await Volume.create('files', connection())
    const at = { apiUrl: connection().apiUrl }
    const bytes = Buffer.from(Array.from({ length: 900_000 }, (_, index) => (index * 7919) % 256))
    const written = await volume.writeFile('/bytes', new Blob([bytes]).stream(), { ...at, mode: 0o600, uid: 7 })
    expect(written).toMatchObject({ name: 'bytes', type: 'file', size: 900_000, mode: 0o600, uid: 7, gid: 1000 })
    expect(Buffer.from(await volume.readFile('/bytes', { ...at, format: 'bytes' })).equals(bytes)).toBe(true)
    await expect(volume.writeFile('/bytes', 'x', at)).rejects.toThrow(/409/)
    await volume.writeFile('/bytes', '', { ...at, force: true })
    expect(await volume.readFile('/bytes', at)).toBe('')
    expect((await volume.getInfo('/bytes', at)).mtime.getTime()).toBeGreaterThan(Date.now() - 600_000)
    expect(await volume.updateMetadata('/bytes', { mode: 0o644 }, at)).toMatchObject({ mode: 0o644, uid: 1000 })
    expect(await volume.makeDir('/a/b', { ...at, force: true })).toMatchObject({ type: 'directory', mode: 0o777 })
    await volume.remove('/a', at)
    expect([await volume.exists('/a', at), await volume.exists('/bytes', at)]).toEqual([false, true])
    await Volume.destroy(volume.volumeId, connection())
  })

  test('belong to one key, and count as its disk', async () => {
    const volume = await Volume.create('mine', connection())
    const stranger = { ...connection(), apiKey: await newKey('volume-stranger', '--max-disk', '15G') }
    expect(await Volume.list(stranger)).toEqual([])
    await expect(Volume.getInfo(volume.volumeId, stranger)).rejects.toThrow(VolumeNotFoundError)
    await expect(Sandbox.create({ ...stranger, volumeMounts: { '/data': 'mine' } })).rejects.toThrow(/404/)
    const at = { apiUrl: connection().apiUrl }
    await expect(volume.list('/', { ...at, token: 'wrong' })).rejects.toThrow(/401|not that of this volume/)
    await Volume.create('mine', stranger)
    await expect(Volume.create('more', stranger)).rejects.toThrow(/limit/)
    expect((await home().gibil(['token', 'list'])).stdout).toMatch(/volume-stranger .*10 GiB of 15 GiB/)
    await expect(Volume.create('mine', connection())).rejects.toThrow(/exists already/)
    await Volume.destroy(volume.volumeId, connection())
  })

  test('cannot hide what a sandbox needs', async () => {
    const { volumeId } = await Volume.create('places', connection())
    for (const path of ['/', '/usr', '/proc/x', 'relative', '/a/../b']) {
      await expect(Sandbox.create({ ...connection(), volumeMounts: { [path]: 'places' } })).rejects.toThrow(/^400/)
    }
    await Volume.destroy(volumeId, connection())
  })
}
