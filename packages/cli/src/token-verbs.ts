import { formatBytes, formatDuration, type Token } from '@gibil/sdk'
import { clean, table } from './output/text.ts'
import type { Session } from './session.ts'

interface CreateFlags {
  readonly maxBoxes?: number
  readonly maxCpu?: number
  readonly maxMemory?: number
  readonly maxDisk?: number
  readonly ttl?: string
  readonly e2b?: boolean
}

/** The verbs below `gibil token`. */
export const tokenVerbs = { create, list, revoke }

const mib = 1024 * 1024

async function create(session: Session, name: string, flags: CreateFlags): Promise<void> {
  const { maxBoxes, maxCpu, maxMemory: maxMemoryMib, maxDisk: maxDiskMib, ttl, e2b } = flags
  const token = await session.gibil.tokens.create(
    { name, maxBoxes, maxCpu, maxMemoryMib, maxDiskMib, ttl, ...(e2b ? { form: 'e2b' as const } : {}) },
    { signal: session.signal },
  )
  session.emit(token, `${token.secret}\n`)
  session.note(`${session.colors.green('✓')} the token ${clean(token.name)}; it is not shown again\n`)
  session.note(
    e2b
      ? '  next: give it to its user, who sets E2B_API_KEY; `gibil e2b setup` shows what else\n'
      : '  next: give it to its user, who sets GIBIL_TOKEN, and GIBIL_URL to the address in gibild.json of the home\n',
  )
}

async function list(session: Session, { quiet }: { quiet?: boolean }): Promise<void> {
  const tokens = await session.gibil.tokens.list({ signal: session.signal })
  if (tokens.length === 0) session.note('No tokens. Make one: gibil token create ci --max-boxes 10\n')
  session.emit(tokens, () => {
    if (quiet) return tokens.map(({ name }) => `${name}\n`).join('')
    return tokens.length === 0 ? '' : tokenTable(tokens, session)
  })
}

function tokenTable(tokens: readonly Token[], { colors }: Session): string {
  const bytes = (amount: number): string => formatBytes(amount * mib)
  const share = (used: number, limit: number | null, write: (amount: number) => string): string =>
    limit === null ? write(used) : `${write(used)} of ${write(limit)}`
  const rows = tokens.map(({ name, used, limits, expiresAt, createdAt }) => [
    name,
    share(used.boxes, limits.boxes, String),
    share(used.cpu, limits.cpu, (cpu) => String(Number(cpu.toFixed(3)))),
    share(used.memoryMib, limits.memoryMib, bytes),
    share(used.diskMib, limits.diskMib, bytes),
    expiresAt === null ? 'no end' : until(expiresAt),
    `${formatDuration(Date.now() - Date.parse(createdAt))} ago`,
  ])
  return table(['NAME', 'BOXES', 'CPU', 'MEMORY', 'DISK', 'GOOD FOR', 'MADE'], rows, colors.dim)
}

function until(expiresAt: string): string {
  const left = Date.parse(expiresAt) - Date.now()
  return left > 0 ? formatDuration(left) : 'expired'
}

async function revoke(session: Session, names: string[]): Promise<void> {
  for (const name of names) {
    await session.gibil.tokens.revoke(name, { signal: session.signal })
    session.note(`${session.colors.green('✓')} ${clean(name)} revoked; its boxes live on by their lease\n`)
  }
  session.emit({ revoked: names }, '')
}
