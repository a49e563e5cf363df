import { type Choice, formatMoney, placeInWords, sizeInWords, whyNot } from '@gibil/sdk'

function costOf({ cost, free }: Choice): string {
  if (free) return 'costs nothing'
  if (cost === null) return 'what it costs is not known'
  const total = cost.total === null ? '' : `, ${formatMoney(cost.total, cost.currency)} in all`
  return `${formatMoney(cost.hourly, cost.currency)} per hour${total}`
}

/** The box that was chosen, what is to be known of it, and what stands against the others. */
export function choiceLines(choice: Choice) {
  const { reasons, missing, warnings, others, image } = choice
  return {
    box: `${placeInWords(choice)}, image ${image}`,
    facts: `${sizeInWords(choice.size)} · ${costOf(choice)}`,
    because: reasons.map(({ text }) => text).join('; ') || 'nothing more was asked for',
    notes: [...missing.map(({ text }) => text), ...warnings],
    others: others.map((other) => ({
      box: placeInWords(other),
      why: whyNot(other),
    })),
  }
}
