import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'

const LogEntry = z.object({
  timestamp: z.string(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  message: z.string(),
  step: z.string().optional(),
})
export type LogEntry = z.infer<typeof LogEntry>

/** What builds printed. Of a build under way it is in memory, and written down at its end. */
export interface BuildLogs {
  begin(template: string, build: string): BuildLog
  /** Nothing for a build that has printed nothing. */
  read(template: string, build: string): Promise<readonly LogEntry[]>
  /** Forgets that of a build. */
  remove(template: string, build: string): Promise<void>
}

export interface BuildLog {
  add(level: LogEntry['level'], message: string, step: string): void
  /** Writes it down. */
  end(): Promise<void>
}

/** More lines than that are not kept: a build that prints without end fills no memory. */
const mostEntries = 20_000

/** `folderOf`: where what belongs to a template is kept. */
export function createBuildLogs(folderOf: (template: string) => string): BuildLogs {
  const open = new Map<string, LogEntry[]>()
  const fileOf = (template: string, build: string): string => join(folderOf(template), 'logs', `${build}.json`)
  return {
    begin(template, build) {
      const entries: LogEntry[] = []
      open.set(build, entries)
      return {
        add(level, message, step) {
          if (entries.length > mostEntries) return
          const text = entries.length < mostEntries ? message : `More than ${mostEntries} lines: the rest is not kept.`
          entries.push({ timestamp: new Date().toISOString(), level, message: text, step })
        },
        async end() {
          await mkdir(join(folderOf(template), 'logs'), { recursive: true, mode: 0o700 })
          await writeFile(fileOf(template, build), JSON.stringify(entries), { mode: 0o600 })
          open.delete(build)
        },
      }
    },
    read: async (template, build) => open.get(build) ?? readEntries(fileOf(template, build)),
    remove: (template, build) => rm(fileOf(template, build), { force: true }),
  }
}

async function readEntries(file: string): Promise<LogEntry[]> {
  const text = await readFile(file, 'utf8').catch(() => '[]')
  return z.array(LogEntry).parse(JSON.parse(text))
}
