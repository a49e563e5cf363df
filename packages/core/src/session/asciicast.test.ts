import { expect, test } from 'vitest'
import type { Recorded } from '../ports/session-files.ts'
import type { SessionRecord } from '../session-record.ts'
import { asciicast } from './asciicast.ts'

const record = { id: 'se1', boxName: 'w', tty: { cols: 80, rows: 24 }, startedAt: 1_700_000_000_500, createdAt: 0 }

async function castOf(...pieces: [offset: number, ms: number, data: string | Uint8Array][]): Promise<unknown[]> {
  async function* recorded(): AsyncGenerator<Recorded> {
    for (const [offset, ms, data] of pieces) yield { offset, ms, data: Buffer.from(data) }
  }
  const lines: unknown[] = []
  for await (const line of asciicast(record as SessionRecord, recorded())) lines.push(JSON.parse(line))
  return lines
}

test('has a header without anything of the environment, and a line for each moment', async () => {
  expect(await castOf([0, 10, 'a\u001b[1m'], [5, 1500, 'b\r\n'])).toEqual([
    {
      version: 2,
      width: 80,
      height: 24,
      timestamp: 1_700_000_000,
      title: 'se1 in w',
      env: { TERM: 'xterm-256color' },
    },
    [0.01, 'o', 'a\u001b[1m'],
    [1.5, 'o', 'b\r\n'],
  ])
})

test('puts characters together that were cut, and times never go back', async () => {
  const bytes = Buffer.from('€')
  const [, ...lines] = await castOf([0, 20, bytes.subarray(0, 1)], [1, 10, bytes.subarray(1)], [3, 15, 'x'])
  expect(lines).toEqual([
    [0.02, 'o', '€'],
    [0.02, 'o', 'x'],
  ])
})

test('says what is not kept, at the begin and in between', async () => {
  const [, ...lines] = await castOf([100, 5, 'a'], [201, 6, 'b'])
  expect(lines.filter((line) => Array.isArray(line) && line[1] === 'm')).toEqual([
    [0.005, 'm', '100 bytes are not kept'],
    [0.006, 'm', '100 bytes are not kept'],
  ])
  expect(lines.at(-1)).toEqual([0.006, 'o', 'b'])
})
