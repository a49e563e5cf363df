/** `%08d` and a line end. */
export const lineLength = 9

/** What `seq -f %08.0f 0 …` prints from a byte offset on. */
export function lineBytes(offset: number, length: number): Buffer {
  const first = Math.floor(offset / lineLength)
  const last = Math.ceil((offset + length) / lineLength)
  let text = ''
  for (let line = first; line < last; line += 1) text += `${String(line).padStart(8, '0')}\n`
  const begin = offset - first * lineLength
  return Buffer.from(text.slice(begin, begin + length), 'latin1')
}
