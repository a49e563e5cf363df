import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { shiftTree } from '../src/shift-tree.ts'
import { run } from './tools.ts'

const isRoot = process.getuid?.() === 0
const ids = { base: 1_900_000_000, count: 65_536 }

describe.skipIf(!isRoot)('taking what a user namespace wrote into the ids of the image', () => {
  let folder: string
  const inFolder = async (script: string): Promise<string> => (await run('sh', ['-ec', script], { cwd: folder })).stdout

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gibil-shift-'))
    await mkdir(join(folder, 'from/opaque'), { recursive: true })
    await writeFile(join(folder, 'from/program'), 'x'.repeat(100_000))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('shifts owners, and keeps modes, links, removals and capabilities', async () => {
    await inFolder(`
      cd from
      ln program hard; ln -s /nowhere link; mkfifo pipe; mknod gone c 0 0; mknod device c 1 3
      chown -h ${ids.base}:${ids.base + 7} program link pipe opaque; chmod 6711 program
      touch foreign; chown 12:34 foreign
      setfattr -n trusted.overlay.opaque -v y opaque 2>/dev/null || python3 -c 'import os; os.setxattr("opaque", "trusted.overlay.opaque", b"y")'
      python3 -c 'import os; os.setxattr("opaque", "trusted.overlay.redirect", b"/etc")'
      setcap -n ${ids.base} cap_setuid,cap_net_raw+ep program
    `)
    await shiftTree(join(folder, 'from'), join(folder, 'to'), ids, { env: process.env })
    const seen = await inFolder('cd to; stat -c "%n %F %a %u %g %h" * | sort; readlink link')
    expect(seen.split('\n')).toEqual([
      'foreign regular empty file 644 65534 65534 1',
      'gone character special file 644 65534 65534 1',
      'hard regular file 6711 0 7 2',
      'link symbolic link 777 0 7 1',
      'opaque directory 755 0 7 2',
      'pipe fifo 644 0 7 1',
      'program regular file 6711 0 7 2',
      '/nowhere',
      '',
    ])
    expect(await inFolder('getcap -n to/program')).toMatch(/^to\/program (?!.*rootid).*cap_setuid.*=ep/)
    const attributes = await inFolder(`python3 -c 'import os; print(sorted(os.listxattr("to/opaque")))'`)
    expect(attributes.trim()).toBe("['trusted.overlay.opaque']")
  })

  it('fails when it cannot read, and stops when cancelled', async () => {
    await expect(shiftTree(join(folder, 'none'), join(folder, 'to'), ids, { env: process.env })).rejects.toMatchObject({
      code: 'driver_failed',
    })
    const stop = new AbortController()
    stop.abort()
    await expect(
      shiftTree(join(folder, 'from'), join(folder, 'other'), ids, { env: process.env, signal: stop.signal }),
    ).rejects.toMatchObject({ code: 'cancelled' })
  })
})
