import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hostileTar, inPieces } from '../../../test/support/hostile-tar.ts'
import { type ArchiveKind, safeArchive } from './safe-entries.ts'
import type { TarHeader } from './tar-format.ts'
import { readTar, TarError } from './tar-read.ts'

const pieces = fc.integer({ min: 1, max: 2000 })

describe('any archive', () => {
  it('is read to its end or refused, in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(hostileTar, pieces, fc.boolean(), async (bytes, size, needsEnd) => {
        try {
          for await (const entry of readTar(inPieces(bytes, size), needsEnd)) {
            expect(Number.isSafeInteger(entry.size) && entry.size >= 0).toBe(true)
            expect(Number.isFinite(entry.mtime)).toBe(true)
            let length = 0
            for await (const part of entry.body) length += part.length
            expect(length).toBe(entry.size)
          }
        } catch (error) {
          expect(error).toBeInstanceOf(TarError)
        }
      }),
    )
  })

  it('becomes one whose entries stay below its root, or is refused', async () => {
    await fc.assert(
      fc.asyncProperty(hostileTar, pieces, fc.constantFrom<ArchiveKind>('layer', 'tree'), async (bytes, size, kind) => {
        const parts: Buffer[] = []
        try {
          for await (const part of safeArchive(readTar(inPieces(bytes, size)), kind)) parts.push(part)
        } catch (error) {
          expect(error).toBeInstanceOf(TarError)
          return
        }
        const kinds = new Map<string, TarHeader['type']>()
        for await (const { name, type, link } of readTar(inPieces(Buffer.concat(parts), 4096), true)) {
          const steps = name.replace(/\/$/, '').split('/')
          expect(steps.some((step) => ['', '.', '..'].includes(step) || step.includes('\0'))).toBe(false)
          for (let depth = 1; depth < steps.length; depth += 1) {
            expect(kinds.get(steps.slice(0, depth).join('/'))).toBe('directory')
          }
          // A directory that a later entry hides is written once more; nothing else is.
          if (type === 'link') expect(kinds.get(link)).toBe('file')
          if (type === 'block') expect(type).toBe('nothing')
          kinds.set(steps.join('/'), type === 'link' ? 'file' : type)
        }
      }),
    )
  })
})
