import { lstat, mkdtemp, readdir, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hostileTar, inPieces } from '../../../../test/support/hostile-tar.ts'
import { extractTree } from './extract.ts'

async function linksStayInside(target: string): Promise<void> {
  const root = await realpath(target)
  for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    expect((await lstat(path)).mode & 0o6000).toBe(0)
    if (!entry.isSymbolicLink()) continue
    const leadsTo = join(dirname(path), await readlink(path))
    expect(leadsTo === root || leadsTo.startsWith(`${root}/`)).toBe(true)
  }
}

test('any archive of a box is unpacked inside of the target, or refused', async () => {
  await fc.assert(
    fc.asyncProperty(hostileTar, fc.integer({ min: 1, max: 2000 }), async (bytes, size) => {
      const dir = await mkdtemp(join(await realpath(tmpdir()), 'gibil-fuzz-'))
      try {
        await writeFile(join(dir, 'outside'), 'untouched')
        const target = join(dir, 'target')
        await extractTree(Readable.from(inPieces(bytes, size), { objectMode: false }), target, {
          maxBytes: 100_000,
        }).catch((error: unknown) => {
          expect(GibilError.is(error), String(error)).toBe(true)
        })
        expect(await readFile(join(dir, 'outside'), 'utf8')).toBe('untouched')
        expect((await readdir(dir)).sort()).toEqual(['outside', 'target'])
        await linksStayInside(target)
      } finally {
        await rm(dir, { recursive: true, force: true })
      }
    }),
  )
})
