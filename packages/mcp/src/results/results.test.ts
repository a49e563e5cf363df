import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBounded } from './bounded.ts'
import { nearest } from './find.ts'

describe('output that is bounded', () => {
  test('is whole as long as there is room, however it comes, and else its beginning and its end', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 })
    fc.assert(
      fc.property(pieces, fc.integer({ min: 8, max: 500 }), (chunks, room) => {
        const bounded = createBounded(room)
        for (const chunk of chunks) bounded.add(chunk)
        const all = Buffer.concat(chunks)
        expect(bounded.bytes).toBe(all.length)
        expect(bounded.left).toBe(Math.max(0, all.length - room))
        const text = bounded.text((left) => `<${left}>`)
        if (all.length <= room) expect(text).toBe(all.toString('utf8'))
        else expect(text).toContain(`\n<${all.length - room}>\n`)
      }),
    )
  })

  test('is cut between characters', () => {
    const bounded = createBounded(40)
    for (let index = 0; index < 1000; index += 1) bounded.add(Buffer.from('ä€😀'))
    const text = bounded.text((left) => `<${left}>`)
    expect(text).not.toContain('\ufffd')
    expect(text).toMatch(/^ä€😀\n<8960>\n.*ä€😀$/)
  })
})

test('a name is taken for another only when it is like it', () => {
  expect(nearest('web-sever', ['db', 'web-server', 'w'])).toBe('web-server')
  expect(nearest('web-server', ['db', 'cache'])).toBeUndefined()
  expect(nearest('x', [])).toBeUndefined()
})
