import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The version of this checkout, from the package.json at its root. */
export function cliVersion(): string {
  const found = /"version":\s*"([^"]+)"/.exec(readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8'))
  return found?.[1] ?? 'unknown'
}
