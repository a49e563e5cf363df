import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../../../../test/support/home.ts'

export const skillDir = join(root, 'skills/gibil')

interface Page {
  readonly name: string
  readonly text: string
  /** What an agent would run, in order. */
  readonly scripts: readonly string[]
}

/** The skill and the pages that it refers to. */
export async function pagesOf(): Promise<readonly Page[]> {
  const references = (await readdir(join(skillDir, 'references'))).map((name) => `references/${name}`)
  return Promise.all(
    ['SKILL.md', ...references].map(async (name) => {
      const text = await readFile(join(skillDir, name), 'utf8')
      return { name, text, scripts: [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, script = '']) => script) }
    }),
  )
}

/** Verbs of the CLI that a text names. */
export const verbsIn = (text: string): string[] =>
  [...text.matchAll(/\bgibil ([a-z][a-z-]*)/g)].map(([, verb = '']) => verb)
