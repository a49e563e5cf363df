const largest = 1000
const within = (wanted: number, absent: number): number => Math.min(Math.max(wanted, 1), largest) || absent

/** A size that boxd takes: a client without a terminal of its own asks for one of no size. */
export const sizeOf = ({
  cols,
  rows,
}: {
  readonly cols: number
  readonly rows: number
}): { cols: number; rows: number } => ({
  cols: cols === 0 ? 80 : within(cols, 80),
  rows: rows === 0 ? 24 : within(rows, 24),
})
