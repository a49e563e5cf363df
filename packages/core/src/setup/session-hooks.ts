import { GibilError } from '@gibil/contract'
import type { Context } from '../plane/context.ts'
import type { ExecRequest } from '../ports/boxd.ts'
import { abortable } from '../util/timing.ts'
import { capture, describeExit, type SetupRun } from './commands.ts'
import { type SessionHook, type Source, saidBy, sessionHooks } from './session-settings.ts'

const settingsFile = '.claude/settings.json'
const maxSettingsBytes = 256 * 1024
const maxShown = 200
/** Of the variables that hooks leave behind. */
const maxEnvLength = 32 * 1024

/** What hooks leave to the box; `any`: there are some for another time. */
export interface Hooked {
  readonly any: boolean
  readonly env: Readonly<Record<string, string>>
}

/**
 * Runs the session-start hooks that the repository itself names, side by side, as its user and in it. Nothing of them is fatal: what goes wrong is told and is in
 * the log.
 */
export async function runSessionHooks(context: Context, run: SetupRun, source: Source): Promise<Hooked> {
  const none: Hooked = { any: false, env: {} }
  const { record, boxd, signal, output } = run
  if (!record.repo) return none
  const path = `${record.repo.path}/${settingsFile}`
  const tell = (message: string): void => {
    output.text(`${message}\n`)
    context.progress.tell(record.id, { phase: 'session hooks', message: message.slice(0, maxShown), notice: true })
  }
  try {
    const bytes = await abortable(boxd.readFile(path, maxSettingsBytes), signal)
    if (!bytes) return none
    const { hooks, any } = sessionHooks(new TextDecoder().decode(bytes), source)
    if (hooks.length === 0) return { any, env: {} }
    return await run.step('session hooks', async () => {
      const place = await placeOf(run, record.repo?.path ?? '~')
      const input = JSON.stringify({
        ...{ session_id: record.id, transcript_path: '', cwd: place.project },
        ...{ hook_event_name: 'SessionStart', source },
      })
      await Promise.all(hooks.map((hook) => runHook(run, hook, place, input, tell)))
      return { any, env: await variablesOf(run, place) }
    })
  } catch (error) {
    signal.throwIfAborted()
    const why = GibilError.is(error) ? error.message : 'it is not what Claude Code reads'
    tell(`The session-start hooks of ${settingsFile} could not be run: ${why}`)
    return none
  }
}

interface Place {
  readonly project: string
  /** Where hooks put `export` lines for the commands that come after them. */
  readonly envFile: string
}

async function placeOf(run: SetupRun, cwd: string): Promise<Place> {
  const script = 'file=$(mktemp /tmp/session-env.XXXXXX) && printf "%s\\n%s" "$PWD" "$file"'
  const { exit, stdout } = await capture(run, { argv: ['bash', '-c', script], cwd, label: 'session hooks' })
  const [project = '', envFile = ''] = stdout.split('\n')
  if (exit.exitCode === 0 && project.startsWith('/')) return { project, envFile }
  throw new GibilError('task_failed', `the box has no room for their variables (${describeExit(exit)})`)
}

async function runHook(
  run: SetupRun,
  hook: SessionHook,
  { project, envFile }: Place,
  input: string,
  tell: (message: string) => void,
): Promise<void> {
  const { command, args, timeoutMs, isAsync } = hook
  const name = command.length > 60 ? `${command.slice(0, 59)}…` : command
  const there = (text: string): string => text.replace(/\$\{CLAUDE_PROJECT_DIR\}/g, () => project)
  const argv = args ? [command, ...args].map(there) : ['sh', '-c', command]
  const request: ExecRequest = {
    argv: ['bash', '-c', '"$@" <<<"$0"', input, ...argv],
    cwd: project,
    // Of this run alone: Claude Code in the box reads the same variable, and is not what it says.
    env: { CLAUDE_PROJECT_DIR: project, CLAUDE_ENV_FILE: envFile, CLAUDE_CODE_REMOTE: 'true' },
    label: `hook ${name}`,
  }
  if (isAsync) return void (await run.boxd.startJob(request))
  let stdout = ''
  const decoder = new TextDecoder()
  const exit = await abortable(
    run.boxd.exec(
      { ...request, timeoutMs },
      (stream, data) => {
        run.output.write(stream, data)
        if (stream === 'stdout' && stdout.length < 65_536) stdout += decoder.decode(data, { stream: true })
      },
      run.signal,
    ),
    run.signal,
  )
  if (exit.exitCode !== 0) return tell(`The session-start hook "${name}" ${describeExit(exit)}.`)
  for (const said of saidBy(stdout)) tell(`The session-start hook "${name}": ${said}`)
}

/** What the hooks have exported: the environment with their file read, less that without. */
async function variablesOf(run: SetupRun, { project, envFile }: Place): Promise<Record<string, string>> {
  const script = 'env -0; printf "\\0"; set -a; . "$0" >/dev/null 2>&1; env -0; rm -f "$0"'
  const request = { argv: ['bash', '-c', script, envFile], cwd: project, label: 'session hooks', timeoutMs: 30_000 }
  const { stdout } = await capture(run, request)
  const [before = '', after = ''] = stdout.split('\0\0')
  const old = new Set(before.split('\0'))
  const added = after.split('\0').filter((line) => !old.has(line) && /^[A-Za-z]\w*=/.test(line))
  if (added.join().length > maxEnvLength) return {}
  const pairs = added.map((line): [string, string] => {
    const at = line.indexOf('=')
    return [line.slice(0, at), line.slice(at + 1)]
  })
  return Object.fromEntries(pairs.filter(([name]) => !['SHLVL', 'PWD', 'OLDPWD'].includes(name)))
}
