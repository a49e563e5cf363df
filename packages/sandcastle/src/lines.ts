/** Cuts text that comes in pieces into lines, without their ends. */
export function createLines(onLine: (line: string) => void): { push(text: string): void; end(): void } {
  let rest: string[] = []
  return {
    push(text) {
      let begin = 0
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', begin)) {
        onLine(rest.join('') + text.slice(begin, end))
        rest = []
        begin = end + 1
      }
      if (begin < text.length) rest.push(text.slice(begin))
    },
    /** What came after the last end of a line is a line too. */
    end() {
      if (rest.length > 0) onLine(rest.join(''))
      rest = []
    },
  }
}
