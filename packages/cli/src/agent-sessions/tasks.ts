import { readFile } from 'node:fs/promises'
import { GibilError } from '@gibil/sdk'
import { parse } from 'yaml'
import * as z from 'zod'

/** What a task may say of itself; the flags say the rest. */
const Task = z.strictObject({
  task: z.string().min(1),
  repo: z.string().optional(),
  branch: z.string().optional(),
  agent: z.string().optional(),
  name: z.string().optional(),
  image: z.string().optional(),
  shape: z.string().optional(),
  size: z.string().optional(),
  timeout: z.string().optional(),
  resultBranch: z.string().optional(),
})
export type Task = z.infer<typeof Task>

/** Throws `invalid_request`, `invalid_config` with the line. */
export async function readTasks(path: string): Promise<Task[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new GibilError('invalid_request', `The file of tasks ${path} cannot be read.`, {
      hint: 'Check the path.',
      cause,
    })
  })
  const found = /\.ya?ml$/i.test(path) ? entriesOf(text, path) : linesOf(text)
  const tasks = found.map(([value, where]) => taskOf(value, `${where} of ${path}`))
  if (tasks.length > 0) return tasks
  throw new GibilError('invalid_request', `There is no task in ${path}.`, { hint: 'Write a task on each line.' })
}

function entriesOf(text: string, path: string): [unknown, string][] {
  let parsed: unknown
  try {
    parsed = parse(text)
  } catch (cause) {
    throw new GibilError('invalid_config', `${path} is not YAML: ${cause instanceof Error ? cause.message : cause}`)
  }
  if (!Array.isArray(parsed)) throw new GibilError('invalid_config', `${path} is not a list of tasks.`)
  return parsed.map((value, index) => [value, `Entry ${index + 1}`])
}

const linesOf = (text: string): [unknown, string][] =>
  text.split('\n').flatMap((line, index): [unknown, string][] => {
    const trimmed = line.trim()
    return trimmed === '' || trimmed.startsWith('#') ? [] : [[trimmed, `Line ${index + 1}`]]
  })

function taskOf(value: unknown, where: string): Task {
  let given = value
  if (typeof value === 'string' && value.startsWith('{')) {
    try {
      given = JSON.parse(value)
    } catch {
      throw new GibilError('invalid_config', `${where} begins like JSON and is none.`)
    }
  }
  const parsed = Task.safeParse(typeof given === 'string' ? { task: given } : given)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new GibilError('invalid_config', `${where}: ${issue?.path.join('.') || 'it'}: ${issue?.message}.`, {
    hint: 'A task is text, or has `task` and, if it differs from the flags, repo, branch, agent, name, image, shape, size, timeout, resultBranch.',
  })
}
