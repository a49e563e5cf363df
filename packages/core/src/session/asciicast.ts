import { completeLength } from '@gibil/contract'
import type { Recorded } from '../ports/session-files.ts'
import type { SessionRecord } from '../session-record.ts'

const line = (value: unknown): string => `${JSON.stringify(value)}\n`
const seconds = (ms: number): number => Math.round(ms) / 1000

/**
 * A recording as asciicast version 2 (https://docs.asciinema.org/manual/asciicast/v2): a header, and a line for each moment. Its header has
 * nothing of the environment. What is not kept any more is a marker and a line of text in its place.
 */
export async function* asciicast(
  { id, boxName, tty, startedAt, createdAt }: SessionRecord,
  recorded: AsyncIterable<Recorded>,
): AsyncGenerator<string> {
  yield line({
    version: 2,
    width: tty.cols,
    height: tty.rows,
    timestamp: Math.floor((startedAt ?? createdAt) / 1000),
    title: `${id} in ${boxName}`,
    env: { TERM: 'xterm-256color' },
  })
  let next = 0
  let begun = new Uint8Array()
  let last = 0
  for await (const { offset, ms, data } of recorded) {
    // Times only grow, as players expect it.
    last = Math.max(last, seconds(ms))
    if (offset > next) {
      const gap = `${offset - next} bytes are not kept`
      begun = new Uint8Array()
      yield line([last, 'm', gap])
      yield line([last, 'o', `\r\n[${gap}]\r\n`])
    }
    next = offset + data.length
    const bytes = begun.length === 0 ? data : Buffer.concat([begun, data])
    const whole = completeLength(bytes)
    begun = Uint8Array.from(bytes.subarray(whole))
    if (whole > 0)
      yield line([last, 'o', new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, whole))])
  }
  if (begun.length > 0) yield line([last, 'o', new TextDecoder().decode(begun)])
}
