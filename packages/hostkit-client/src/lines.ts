/**
 * Cuts a stream of UTF-8 text into lines of at most `limit` characters, without their ends. Calls `tooLong` once when a line is longer, and
 * takes nothing more.
 */
export function lineSplitter(
  limit: number,
  line: (text: string) => void,
  tooLong: () => void,
): (chunk: string) => void {
  let kept: string[] = []
  let length = 0
  let stopped = false
  return (chunk) => {
    let rest = chunk
    while (!stopped && rest !== '') {
      const end = rest.indexOf('\n')
      const part = end < 0 ? rest : rest.slice(0, end)
      length += part.length
      if (length > limit) {
        stopped = true
        kept = []
        tooLong()
        return
      }
      kept.push(part)
      if (end < 0) return
      const whole = kept.join('')
      kept = []
      length = 0
      rest = rest.slice(end + 1)
      line(whole)
    }
  }
}
