import { type Answers, type Needs, needsOfAnswers, parseDuration, questions } from '@gibil/sdk'
import { window } from 'vscode'
import { ask, choose, givenUp } from './pick.ts'

interface Question<T extends string> {
  readonly message: string
  readonly options: readonly { readonly value: T; readonly label: string; readonly hint: string }[]
}

const count = Object.keys(questions).length
const titleOf = (step: number): string => `Create Box (${step}/${count})`
const items = <T extends string>({ options }: Question<T>) =>
  options.map(({ value, label, hint }) => ({ label, description: hint, value }))
const one = <T extends string>(step: number, question: Question<T>): Promise<T> =>
  choose(items(question), { title: titleOf(step), placeHolder: question.message })

async function several<T extends string>(step: number, question: Question<T>): Promise<T[]> {
  const picked = await window.showQuickPick(items(question), {
    title: titleOf(step),
    placeHolder: `${question.message} (nothing, one or more)`,
    canPickMany: true,
    ignoreFocusOut: true,
  })
  if (!picked) throw givenUp()
  return picked.map(({ value }) => value)
}

/** What a box is needed for, asked as on a terminal. Throws `cancelled`. */
export async function askNeeds(): Promise<Needs> {
  const { isolation, where, ttl, size, marks, agent, maxHourly } = questions
  const answers: Answers = {
    isolation: await one(1, isolation),
    where: await one(2, where),
    ttl: await ask({ title: titleOf(3), prompt: ttl.message, value: ttl.usual, validateInput: durationComplaint }),
    size: await one(4, size),
    marks: await several(5, marks),
    agent: await one(6, agent),
    maxHourly: await ask({ title: titleOf(7), prompt: maxHourly.message, validateInput: amountComplaint }),
  }
  return needsOfAnswers(answers)
}

export function durationComplaint(text: string): string | undefined {
  if (text.trim() === 'none') return undefined
  try {
    parseDuration(text)
    return undefined
  } catch {
    return 'A time such as 90m, 2h, 7d, or none.'
  }
}

const amountComplaint = (text: string): string | undefined =>
  /^(\d{1,12}(\.\d{1,16})?)?$/.test(text.trim()) ? undefined : 'An amount such as 0.05.'
