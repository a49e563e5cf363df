// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const control = /[\u0000-\u001f\u007f-\u009f]/g

/** Text of a box's making, fit for a terminal: without the control characters that could move the cursor or change the title. */
export const clean = (text: string): string => text.replaceAll(control, (char) => (char === '\t' ? ' ' : '\ufffd'))

/** Rows under headings, each column as wide as its widest cell; the last one is not padded. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  dim = (text: string): string => text,
): string {
  const cells = rows.map((row) => row.map(clean))
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ')
  return `${[dim(line(headings)), ...cells.map(line)].join('\n')}\n`
}
