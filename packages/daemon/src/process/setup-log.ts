import { mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { SetupLog } from '@gibil/core'

const notice = Buffer.from('\n[the log is full: what follows is not kept]\n')

/**
 * What set-up printed, one file a box in `dir`, of at most `maxBytes` (10 MiB) each. The beginning is kept, since that is
 * where set-up says what it does.
 */
export function createSetupLog(dir: string, maxBytes = 10 * 1024 * 1024): SetupLog {
  const room = maxBytes - notice.length
  const pending = new Map<string, Promise<void>>()
  const file = (boxId: string): string => join(dir, `${boxId}.log`)

  const write = async (boxId: string, text: string): Promise<void> => {
    const length = (await stat(file(boxId)).catch(() => undefined))?.size ?? 0
    if (length > room) return
    const bytes = Buffer.from(text)
    const fits = length + bytes.length <= room
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const handle = await open(file(boxId), 'a', 0o600)
    try {
      await handle.write(
        fits ? bytes : Buffer.concat([bytes.subarray(0, wholeCharacters(bytes, room - length)), notice]),
      )
    } finally {
      await handle.close()
    }
  }

  return {
    async append(boxId, text) {
      const turn = (pending.get(boxId) ?? Promise.resolve()).catch(() => undefined).then(() => write(boxId, text))
      pending.set(boxId, turn)
      try {
        await turn
      } finally {
        if (pending.get(boxId) === turn) pending.delete(boxId)
      }
    },

    async read(boxId, offset, limit) {
      const handle = await open(file(boxId), 'r').catch(() => undefined)
      if (!handle) return { text: '', nextOffset: offset }
      try {
        const { bytesRead, buffer } = await handle.read(Buffer.alloc(limit), 0, limit, offset)
        // A limit shorter than one character must still lead on.
        const length = wholeCharacters(buffer, bytesRead) || (bytesRead === limit ? bytesRead : 0)
        return { text: buffer.toString('utf8', 0, length), nextOffset: offset + length }
      } finally {
        await handle.close()
      }
    },

    async remove(boxId) {
      await pending.get(boxId)?.catch(() => undefined)
      await rm(file(boxId), { force: true })
    },
  }
}

/** The largest length up to `end` at which `bytes` can be cut without breaking a UTF-8 character. */
function wholeCharacters(bytes: Buffer, end: number): number {
  for (let start = end - 1; start >= Math.max(0, end - 4); start -= 1) {
    const byte = bytes[start] ?? 0
    if (byte < 0x80) return end
    if (byte < 0xc0) continue
    const width = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return start + width > end ? start : end
  }
  return end
}
