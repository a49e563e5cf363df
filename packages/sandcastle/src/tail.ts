/** Keeps the end of a text that comes in pieces: at least so many characters, and never twice as many. */
export function createTail(chars: number): { push(text: string): void; text(): string } {
  let pieces: string[] = []
  let length = 0
  const cut = (): string => pieces.join('').slice(-chars)
  return {
    push(text) {
      pieces.push(text)
      length += text.length
      if (length < 2 * chars) return
      pieces = [cut()]
      length = pieces[0]?.length ?? 0
    },
    text: cut,
  }
}
