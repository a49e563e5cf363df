import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { GibilError } from '@gibil/sdk'
import type { DaemonSettings } from '../setup/daemon-process.ts'
import { Config, type Config as ConfigType, type Defaults } from './schema.ts'

interface Where {
  readonly home: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The user's own config file, and the one in the home of the daemon, whose values win. */
export function configPaths({ home, env }: Where): { readonly user: string; readonly home: string } {
  const base = env['XDG_CONFIG_HOME'] || join(env['HOME'] ?? homedir(), '.config')
  return { user: join(base, 'gibil', 'config.yml'), home: join(home, 'config.yml') }
}

/** The defaults that hold, from both files together. Throws `invalid_config` with the line. */
export async function readDefaults(where: Where): Promise<Defaults> {
  const paths = configPaths(where)
  const [user, home] = await Promise.all([readConfig(paths.user), readConfig(paths.home)])
  return { ...user?.defaults, ...home?.defaults }
}

/** How to start the daemon, from both files together. Throws `invalid_config`. */
export async function readDaemonSettings(where: Where): Promise<DaemonSettings> {
  const paths = configPaths(where)
  const [user, home] = await Promise.all([readConfig(paths.user), readConfig(paths.home)])
  return { ...user?.daemon, ...home?.daemon }
}

/** One config file; undefined when there is none. Throws `invalid_config`. */
export async function readConfig(path: string): Promise<ConfigType | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw new GibilError('invalid_config', `${path} cannot be read: ${error.message}.`, {
      hint: 'Make it a file that you may read, or remove it.',
      cause: error,
    })
  })
  if (text === undefined) return undefined
  const { LineCounter, parseDocument } = await import('yaml')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, strict: true })
  const broken = document.errors[0]
  if (broken) throw invalid(path, lines.linePos(broken.pos[0]).line, broken.message.split('\n')[0] ?? '')
  const parsed = Config.safeParse(document.toJS({ maxAliasCount: 10 }) ?? {})
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const keys = issue?.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : (issue?.path ?? [])
  const at = nodeOffset(document, keys)
  throw invalid(path, lines.linePos(at).line, `${keys.join('.')}: ${issue?.message ?? 'not valid'}`)
}

function nodeOffset(document: { getIn(path: unknown[], keep: true): unknown }, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true)
    if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range))
      return Number(node.range[0])
  }
  return 0
}

const invalid = (path: string, line: number, message: string): GibilError =>
  new GibilError('invalid_config', `${path}, line ${line}: ${message}`, {
    hint: 'Correct that line, or write the file anew with `gibil init`.',
    details: { path, line },
  })

/** Writes a config file whole or not at all. */
export async function writeConfig(path: string, config: ConfigType): Promise<void> {
  const { stringify } = await import('yaml')
  const text = `# Defaults of \`gibil create\`; flags override them. Written by \`gibil init\`.\n${stringify(config)}`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, path)
}
