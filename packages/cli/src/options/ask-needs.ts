import { GibilError, type Needs, needsOfAnswers, questions } from '@gibil/sdk'
import type { Session } from '../session.ts'
import { amountOfMoney } from './cloud.ts'
import { duration } from './parse.ts'

/** Asks on a terminal what matters. Throws `cancelled`. */
export async function askNeeds(session: Session): Promise<Needs> {
  const { group, intro, multiselect, outro, select, text } = await import('@clack/prompts')
  const output = session.stderr
  const { isolation, where, ttl, size, marks, agent, maxHourly } = questions
  intro('What is the box for?', { output })
  const answers = await group(
    {
      isolation: () => select({ message: isolation.message, output, options: [...isolation.options] }),
      where: () => select({ message: where.message, output, options: [...where.options] }),
      ttl: () =>
        text({
          message: ttl.message,
          initialValue: ttl.usual,
          output,
          validate: (value) => complaint(() => duration(value ?? '', { none: true })),
        }),
      size: () => select({ message: size.message, output, options: [...size.options] }),
      marks: () => multiselect({ message: marks.message, required: false, output, options: [...marks.options] }),
      agent: () => select({ message: agent.message, output, options: [...agent.options] }),
      maxHourly: () =>
        text({
          message: maxHourly.message,
          output,
          validate: (value) => complaint(() => value && amountOfMoney(value)),
        }),
    },
    {
      onCancel: () => {
        throw new GibilError('cancelled', 'Nothing was chosen.', { hint: 'Run `gibil choose` again, or give flags.' })
      },
    },
  )
  outro('Flags say the same: gibil choose --help', { output })
  return needsOfAnswers(answers)
}

function complaint(parse: () => unknown): string | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    return GibilError.from(error).message
  }
}
