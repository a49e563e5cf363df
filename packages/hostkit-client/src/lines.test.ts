import { describe, expect, it } from 'vitest'
import { lineSplitter } from './lines.ts'

function split(limit: number, chunks: readonly string[]): { lines: string[]; stopped: number } {
  const lines: string[] = []
  let stopped = 0
  const take = lineSplitter(
    limit,
    (line) => lines.push(line),
    () => {
      stopped += 1
    },
  )
  for (const chunk of chunks) take(chunk)
  return { lines, stopped }
}

describe('lineSplitter', () => {
  it('finds the same lines wherever the stream is cut', () => {
    const text = 'one\n\ntwo three\nend'
    for (let size = 1; size <= text.length; size += 1) {
      const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
        text.slice(i * size, (i + 1) * size),
      )
      expect(split(100, chunks).lines).toEqual(['one', '', 'two three'])
    }
  })

  it('takes a line of the longest length, and stops for good at a longer one', () => {
    expect(split(4, ['1234\n', '12', '34\n'])).toEqual({ lines: ['1234', '1234'], stopped: 0 })
    expect(split(4, ['12', '345', '\n', 'ok\n', '123456\n'])).toEqual({ lines: [], stopped: 1 })
  })
})
