import * as z from 'zod'

/**
 * The part of `.claude/settings.json` that says what is to run when a session begins (https://code.claude.com/docs/en/hooks). What is not understood is passed
 * over, as Claude Code does with what it does not know.
 */
const Hook = z.object({
  type: z.string(),
  command: z.string().optional(),
  /** With these the command is a program, else a line for `sh`. */
  args: z.array(z.string()).optional(),
  /** Seconds. */
  timeout: z.number().positive().optional(),
  /** Nobody waits for it. */
  async: z.boolean().optional(),
})
const Settings = z.object({
  disableAllHooks: z.boolean().optional(),
  hooks: z
    .object({
      SessionStart: z.array(z.object({ matcher: z.string().optional(), hooks: z.array(Hook) })).optional(),
    })
    .optional(),
})

/** Why a session begins: the box is new, or was started again. */
export type Source = 'startup' | 'resume'

export interface SessionHook {
  readonly command: string
  readonly args: readonly string[] | undefined
  readonly timeoutMs: number
  readonly isAsync: boolean
}

/** Of command hooks (Claude Code 2.1). */
const defaultTimeoutMs = 600_000
const longestTimeoutMs = 3_600_000

/** `*`, `.*` and nothing mean every source; else the sources are named, with `|` between them. */
const matches = (matcher: string | undefined, source: Source): boolean =>
  matcher === undefined || ['', '*', '.*'].includes(matcher) || matcher.split(/[|,\s]+/).includes(source)

/** The hooks of a repository for a source, each once, and whether it has any at all. Throws an Error for text that is no such file. */
export function sessionHooks(text: string, source: Source): { readonly hooks: SessionHook[]; readonly any: boolean } {
  const settings = Settings.parse(JSON.parse(text))
  const groups = settings.disableAllHooks ? [] : (settings.hooks?.SessionStart ?? [])
  const hooks = new Map<string, SessionHook>()
  for (const { matcher, hooks: own } of groups) {
    if (!matches(matcher, source)) continue
    for (const { type, command, args, timeout, async: isAsync = false } of own) {
      if (type !== 'command' || command === undefined) continue
      const timeoutMs = Math.min(timeout === undefined ? defaultTimeoutMs : timeout * 1000, longestTimeoutMs)
      hooks.set(JSON.stringify([command, args]), { command, args, timeoutMs, isAsync })
    }
  }
  return { hooks: [...hooks.values()], any: groups.length > 0 }
}

const Answer = z.object({
  continue: z.boolean().optional(),
  stopReason: z.string().optional(),
  systemMessage: z.string().optional(),
  hookSpecificOutput: z.object({ additionalContext: z.string().optional() }).optional(),
})

/** What a hook says in JSON on its standard output, to its user; nothing of one that prints plain text. */
export function saidBy(stdout: string): string[] {
  let json: unknown
  try {
    json = JSON.parse(stdout)
  } catch {
    return []
  }
  const { data } = Answer.safeParse(json)
  if (!data) return []
  const stops = data.continue === false ? [`asks to stop: ${data.stopReason ?? 'it gives no reason'}`] : []
  return [...stops, ...(data.systemMessage === undefined ? [] : [data.systemMessage])]
}
