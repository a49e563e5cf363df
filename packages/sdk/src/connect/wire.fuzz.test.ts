import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FrameType, GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { decodeFrame, encodeFrame } from './frames.ts'
import { callWithProgress } from './sse.ts'
import { createTransport } from './transport.ts'

describe('a frame', () => {
  test('comes back as it was sent', () => {
    const type = fc.constantFrom(...Object.values(FrameType))
    fc.assert(
      fc.property(type, fc.uint8Array(), (kind, payload) => {
        expect(decodeFrame(encodeFrame(kind, payload))).toEqual({ type: kind, payload: Buffer.from(payload) })
      }),
    )
  })

  test('of any bytes is a frame or is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          decodeFrame(Buffer.from(bytes))
        } catch (error) {
          expect(GibilError.is(error) && error.code).toBe('boxd_protocol')
        }
      }),
    )
  })
})

describe('an answer', () => {
  const bit = fc.oneof(
    fc.constantFrom(
      'event: progress\n',
      'event: result\n',
      'event: error\n',
      'data: ',
      '\n',
      '\n\n',
      'id: 5\n',
      ':\n',
      '\r',
    ),
    fc.constantFrom(
      '{"phase":"x"}',
      '{"phase":1}',
      '"done"',
      '{"error":{"code":"busy","message":"m"}}',
      '{"error":null}',
      '{',
    ),
    fc.string({ maxLength: 6 }),
  )

  test('of any text, as events or as JSON, is a result or a GibilError', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'gibil-wire-'))
    let answer = { status: 200, text: '', cut: false }
    const server = createServer((request, response) => {
      request.resume()
      response.writeHead(answer.status, answer.cut ? { 'content-length': String(answer.text.length + 50_000) } : {})
      response.write(answer.text, () => (answer.cut ? response.destroy() : response.end()))
    })
    await new Promise<void>((done) => server.listen(join(dir, 'gibild.sock'), done))
    const transport = createTransport({ home: dir })
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(bit, { maxLength: 12 }).map((parts) => parts.join('')),
          fc.constantFrom(200, 200, 201, 404, 500, 503),
          fc.boolean(),
          fc.boolean(),
          async (text, status, cut, events) => {
            answer = { status, text, cut }
            const options = events ? { onProgress: () => undefined } : {}
            try {
              expect(typeof (await callWithProgress(transport, z.string(), 'POST', '/x', options))).toBe('string')
            } catch (error) {
              expect(GibilError.is(error), String(error)).toBe(true)
            }
          },
        ),
      )
    } finally {
      transport.close()
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      await rm(dir, { recursive: true, force: true })
    }
  })
})
