import { type Choice, formatMoney, placeInWords, sizeInWords, whyNot } from '@gibil/sdk'
import type { Cli } from '../context.ts'
import { clean } from './text.ts'

/** What was chosen and why, what the others lack, and the command that makes it as the last line. */
export function choiceText(choice: Choice, { colors }: Pick<Cli, 'colors'>): string {
  const { reasons, missing, warnings, unavailable, before, others, command } = choice
  const rows: [string, string][] = [
    ['box', `${placeInWords(choice)}, image ${choice.image}, ${sizeInWords(choice.size)}`],
    ...reasons.map(({ text }): [string, string] => ['because', text]),
    ['cost', costOf(choice)],
    ...[...missing.map(({ text }) => text), ...warnings].map((text): [string, string] => ['note', text]),
    ...(unavailable ? [['not here', `${unavailable.message} ${unavailable.hint}`] satisfies [string, string]] : []),
    ...others.map((other): [string, string] => ['instead', `${placeInWords(other)}: ${insteadOf(other)}`]),
    ...before.map((line): [string, string] => ['first', line]),
    ['then', command],
  ]
  // A word is said once for the rows that follow it.
  const lines = rows.map(([word, text], index) => {
    const said = rows[index - 1]?.[0] === word ? '' : word
    return `${colors.dim(said.padEnd(8))}  ${word === 'then' ? colors.bold(clean(text)) : clean(text)}`
  })
  return `${lines.join('\n')}\n`
}

function costOf({ cost, free }: Choice): string {
  if (free) return 'nothing: it is on this machine'
  if (cost === null) return 'not known'
  const { currency, hourly, monthly, total, serverType, location } = cost
  const all = total === null ? '' : `, ${formatMoney(total, currency)} in all`
  return `${formatMoney(hourly, currency)} per hour, ${formatMoney(monthly, currency)} per month at most${all} (${serverType} in ${location}, net)`
}

const insteadOf = (other: Choice['others'][number]): string =>
  other.unavailable ? `${whyNot(other)}; not here: ${other.unavailable.message}` : whyNot(other)
