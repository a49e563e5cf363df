/** Lines and characters kept of the end of a session. */
const kept = { lines: 10, characters: 4096 }

// biome-ignore lint/suspicious/noControlCharactersInRegex: sequences of a terminal (ECMA-48): CSI, OSC, and the short ones
const sequences = /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: what is left of them, but for the ends of lines
const controls = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g

/** The last lines of what a terminal was given, as far as that can be said without one: without colours and moves, and of a line written over its last form. */
export function lastLines(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes)
  return text
    .replaceAll(sequences, '')
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => (line.replace(/\r+$/, '').split('\r').at(-1) ?? '').replaceAll(controls, '').trimEnd())
    .filter((line) => line !== '')
    .slice(-kept.lines)
    .join('\n')
    .slice(-kept.characters)
}
