import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf, emptyConfig } from './manifest.ts'
import { readOciLayout } from './oci.ts'
import { formatReference, parseReference } from './reference.ts'

const digest = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
const anyDigest = fc.constantFrom(digest('a'), 'sha256:', 'sha256:../../../etc/passwd', 'sha512:00', '', 5, null)
const config = fc.oneof(
  fc.jsonValue(),
  fc.record({
    architecture: fc.string(),
    os: fc.string(),
    config: fc.option(
      fc.record(
        {
          Env: fc.oneof(fc.array(fc.string()), fc.constant(['=x', 'A', 'A=b=c', '__proto__=x']), fc.jsonValue()),
          Labels: fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.jsonValue()),
          ExposedPorts: fc.oneof(fc.dictionary(fc.string(), fc.constant({})), fc.jsonValue()),
          Cmd: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
          User: fc.oneof(fc.string(), fc.jsonValue()),
        },
        { requiredKeys: [] },
      ),
    ),
    rootfs: fc.oneof(
      fc.record({ type: fc.constantFrom('layers', 'x'), diff_ids: fc.array(anyDigest, { maxLength: 2 }) }),
      fc.jsonValue(),
    ),
  }),
)

describe('an image from a registry', () => {
  test('is read, or refused with an Error that says why', async () => {
    const layout = await mkdtemp(join(tmpdir(), 'gibil-oci-'))
    const blobs = join(layout, 'blobs/sha256')
    await mkdir(blobs, { recursive: true })
    const put = async (value: unknown): Promise<{ mediaType: string; digest: string; size: number }> => {
      const text = JSON.stringify(value) ?? 'null'
      await writeFile(join(blobs, digest(text).slice('sha256:'.length)), text)
      return { mediaType: 'x', digest: digest(text), size: text.length }
    }
    const layers = fc.array(fc.record({ mediaType: fc.string(), digest: anyDigest, size: fc.integer() }), {
      maxLength: 2,
    })
    try {
      await fc.assert(
        fc.asyncProperty(config, layers, fc.option(fc.jsonValue(), { freq: 4 }), async (described, found, instead) => {
          const manifest = await put(instead ?? { config: await put(described), layers: found })
          await writeFile(join(layout, 'index.json'), JSON.stringify({ manifests: [manifest] }))
          try {
            const image = await readOciLayout(layout)
            for (const { path } of image.layers) expect(path.startsWith(`${blobs}/`)).toBe(true)
            expect(digestOf([], { ...emptyConfig, ...image.config })).toMatch(/^sha256:/)
          } catch (error) {
            expect(error).toBeInstanceOf(Error)
            expect(error).not.toBeInstanceOf(TypeError)
          }
        }),
      )
    } finally {
      await rm(layout, { recursive: true, force: true })
    }
  })

  test('a reference is read as the same again, or refused', () => {
    const text = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[a-z0-9.:/@-]{0,40}$/),
      fc.stringMatching(/^([a-z]{1,5}(\.[a-z]{1,3})?(:[0-9]{1,4})?\/)?[a-z]{1,5}(\/[a-z_]{1,5})?(:[a-z0-9.]{1,5})?$/),
    )
    fc.assert(
      fc.property(text, (input) => {
        try {
          const written = formatReference(parseReference(input))
          expect(written.startsWith('-')).toBe(false)
          expect(formatReference(parseReference(written))).toBe(written)
        } catch (error) {
          expect(GibilError.is(error) && error.code, String(error)).toBe('image_pull_failed')
        }
      }),
    )
  })
})
