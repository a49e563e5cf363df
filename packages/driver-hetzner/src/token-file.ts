import { readFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeWhole } from '@gibil/host'

const pathIn = (home: string): string => join(home, 'hetzner', 'token')

/** The token that `gibil init` left in a home. Read at each request, so that a new one needs no restart. */
export function readToken(home: string): string | undefined {
  try {
    return readFileSync(pathIn(home), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/** Keeps it for the user of the home alone (0600), and returns where. */
export async function keepToken(home: string, token: string): Promise<string> {
  const path = pathIn(home)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeWhole(path, `${token}\n`, { durable: true })
  return path
}

/** Fine when there is none. Boxes that it made are still reached by the keys that the home keeps. */
export const forgetToken = (home: string): Promise<void> => rm(pathIn(home), { force: true })
