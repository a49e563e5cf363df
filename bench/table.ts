import type { Row } from './rows/row.ts'

const subjects = ['gibil', 'warm', 'docker', 'floor']

/** Rows of all parts as one table in Markdown, which a terminal shows as well. */
export function renderTable(rows: readonly Row[]): string {
  const head = ['', ...subjects, 'gibil : docker', 'gibil : floor', 'warm : docker']
  const body = rows.map((row) => [
    row.name,
    ...subjects.map((name) => format(row, row.values[name])),
    ratio(row, 'gibil', 'docker'),
    ratio(row, 'gibil', 'floor'),
    ratio(row, 'warm', 'docker'),
  ])
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...body.map((line) => line[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(head), rule, ...body.map(line)].join('\n')
}

function format(row: Row, value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '-'
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0
  return `${value.toFixed(digits)}${row.unit === 'score' ? '' : ` ${row.unit}`}`
}

function ratio(row: Row, one: string, other: string): string {
  const [own, peer] = [row.values[one], row.values[other]]
  if (own === undefined || peer === undefined || !(own > 0) || !(peer > 0)) return ''
  if (row.unit === 'score' || row.unit === '%') return ''
  return `${(own / peer).toFixed(2)}`
}
