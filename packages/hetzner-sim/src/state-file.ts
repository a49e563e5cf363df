import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { type Project, projectSchema } from './model.ts'

const schema = z.object({
  version: z.literal(1),
  lastId: z.int(),
  /** The token that was made up, so that a restart does not change it. */
  token: z.string(),
  projects: z.record(z.string(), projectSchema),
})

export interface State {
  lastId: number
  readonly token: string
  readonly projects: Map<string, Project>
}

/** Undefined when there is no such file. Throws when it is not ours. */
export async function readState(path: string): Promise<State | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const { lastId, token, projects } = schema.parse(JSON.parse(text))
  return { lastId, token, projects: new Map(Object.entries(projects)) }
}

/** Whole or not at all, and for its owner only: it holds the token and user data. */
export async function writeState(path: string, state: State): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const text = JSON.stringify({ version: 1, ...state }, (_, value) => {
    if (!(value instanceof Map)) return value
    // Projects by their names, records of a project as a list.
    return value === state.projects ? Object.fromEntries(value) : [...value.values()]
  })
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** Writes soon after a change, many changes at once, one write at a time. */
export function createSaver(write: () => Promise<void>): { changed(): void; flush(): Promise<void> } {
  let timer: NodeJS.Timeout | undefined
  let last = Promise.resolve()
  const save = (): void => {
    timer = undefined
    last = last.then(write, write)
    // Who closes hears of it; the next change tries again.
    last.catch(() => undefined)
  }
  return {
    changed() {
      timer ??= setTimeout(save, 50)
    },
    async flush() {
      clearTimeout(timer)
      save()
      await last
    },
  }
}
