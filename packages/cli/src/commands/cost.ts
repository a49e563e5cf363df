import { type CostReport, formatMoney, refOf } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { budgetLine } from '../output/budget.ts'
import { table } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).action(action(cli, cost))
}

async function cost(session: Session): Promise<void> {
  const report = await session.gibil.cost({ signal: session.signal })
  if (report.currencies.length === 0) session.note('No box has cost anything. Boxes of this machine do not.\n')
  session.emit(report, () => report.currencies.map((sheet) => sheetOf(sheet, session)).join('\n'))
  if (report.budget) session.note(`${budgetLine(report.budget, report.currencies[0]?.currency)}\n`)
}

function sheetOf(sheet: CostReport['currencies'][number], { colors }: Session): string {
  const amount = (value: string): string => formatMoney(value, sheet.currency)
  const boxes = sheet.boxes.map((box) => [
    refOf(box),
    box.exists ? (box.billed ? 'billed' : 'not billed now') : 'gone',
    box.billed ? amount(box.hourly) : '-',
    amount(box.soFar),
  ])
  const total = ['all', '', amount(sheet.hourly), amount(sheet.total)]
  const days = sheet.days.map(({ day, amount: spent }) => [day, amount(spent)])
  return `${table(['BOX', 'STATE', 'PER HOUR', 'SO FAR'], [...boxes, total], colors.dim)}\n${table(['DAY', 'COST'], days, colors.dim)}`
}
