import { describe, expect, it } from 'vitest'
import { assertBoxId, homeNames, isBoxId, linkName, slotOfLink } from './names.ts'

const a = homeNames('/srv/a')
const b = homeNames('/srv/b')

describe('names', () => {
  it('are the same for one home however its path is written, and share nothing with another home', () => {
    expect(homeNames('/srv/./a/')).toEqual(a)
    expect(a.prefix).toMatch(/^gibil-[0-9a-f]{6}$/)
    const values = new Set(Object.values(b))
    expect(Object.values(a).filter((value) => values.has(value))).toEqual([])
  })

  it('keep links within 15 characters and tell the slot again', () => {
    for (const slot of [0, 255, 1021]) {
      for (const policy of ['internet', 'lan'] as const) {
        const link = linkName(a, policy, slot)
        expect(link.length).toBeLessThanOrEqual(15)
        expect(slotOfLink(a, link)).toBe(slot)
        expect(slotOfLink(b, link)).toBeUndefined()
      }
    }
    expect(linkName(a, 'internet', 7)).not.toBe(linkName(a, 'lan', 7))
    expect(slotOfLink(a, 'eth0')).toBeUndefined()
    expect(slotOfLink(a, `${a.linkPrefix}x001`)).toBeUndefined()
  })

  it.each(['', '.', '..', 'a/b', '../x', '-a', 'a b', 'a\n', 'x'.repeat(49), 'a\0'])('refuse %j as an id', (id) => {
    expect(isBoxId(id)).toBe(false)
    expect(() => assertBoxId(id)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })
})
