import { type Choice, formatMoney } from '@gibil/sdk'
import { sizeOf } from './box.ts'

const placeOf = ({ shape, provider }: Pick<Choice, 'shape' | 'provider'>): string =>
  provider === 'local' ? shape : `${shape} at ${provider}`

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
    box: `${placeOf(choice)}, image ${image}`,
    facts: `${sizeOf(choice)} · ${costOf(choice)}`,
    because: reasons.map(({ text }) => text).join('; ') || 'nothing more was asked for',
    notes: [...missing.map(({ text }) => text), ...warnings],
    others: others.map((other) => ({
      box: placeOf(other),
      why: other.lacks.map(({ text }) => text).join('; ') || `would do too, but ${other.note ?? 'is not lighter'}`,
    })),
  }
}
