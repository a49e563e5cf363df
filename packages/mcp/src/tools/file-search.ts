import type { BoxHandle } from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { findBox } from '../results/find.ts'
import { looks, type Tool, tool } from '../tool.ts'
import { boxRef } from './fields.ts'
import { explainMissing, inBox } from './file-path.ts'

const lineLetters = 300
/** Lines of megabytes are read no further than this, whatever is in them. */
const heldLetters = 65_536

export const fileSearch: Tool = tool({
  name: 'file_search',
  title: 'Search in files',
  description:
    'Lines of files in a box that fit a regular expression: by ripgrep, which leaves out what .gitignore names, or by grep where the box has none.',
  effect: looks,
  input: z.object({
    box: boxRef,
    pattern: z.string().min(1).describe('a regular expression'),
    path: z.string().min(1).default('.').describe('file or directory; default: where commands run'),
    glob: z.string().optional().describe('only files of such names, as "*.ts"'),
    fixed: z.boolean().default(false).describe('the pattern is plain text'),
    ignoreCase: z.boolean().default(false),
    maxMatches: z.int().min(1).max(500).default(100),
    timeoutSeconds: z.number().min(1).max(120).default(20),
  }),
  output: z.object({
    box: BoxState,
    matches: z.array(z.object({ path: z.string(), line: z.int(), text: z.string().describe('300 letters at most') })),
    complete: z.boolean().describe('false: there may be more'),
    by: z.string().describe('rg or grep'),
  }),
  async handle({ box: ref, path: given, ...search }, { gibil, signal }) {
    const { handle } = await findBox(gibil, ref, signal)
    const named = await inBox(handle, given)
    const { path } = await handle.files.stat(named, { signal }).catch((error) => explainMissing(handle, named, error))
    const { matches, complete, by } = await run(handle, { ...search, path }, signal)
    const box = boxState(await handle.refresh())
    const lines = matches.map((match) => `${match.path}:${match.line}: ${match.text}`)
    const more = complete ? '' : `[stopped at ${matches.length} matches: narrow it by path, glob or pattern]`
    return {
      data: { box, matches, complete, by },
      text: [lines.join('\n') || 'Nothing fits.', more, boxLine(box)].filter(Boolean).join('\n'),
    }
  },
})

interface Search {
  readonly pattern: string
  readonly path: string
  readonly glob?: string | undefined
  readonly fixed: boolean
  readonly ignoreCase: boolean
  readonly maxMatches: number
  readonly timeoutSeconds: number
}

/** `$1` pattern, `$2` path, `$3` glob, `$4` fixed, `$5` ignore case. A name ends with NUL, since it may hold a colon. */
const script = `
if command -v rg >/dev/null; then
  echo rg
  exec rg --no-config --no-messages --null --line-number --no-heading --with-filename --color never --sort path \${4:+--fixed-strings} \${5:+--ignore-case} \${3:+--glob "$3"} -e "$1" -- "$2"
fi
echo grep
exec grep -rnHIZs --exclude-dir=.git $([ -n "$4" ] && echo -F || echo -E) \${5:+-i} \${3:+--include="$3"} -e "$1" -- "$2"
`

/** A pattern that explodes, in time or in matches, is ended: by its time limit, or as soon as there are enough. */
async function run(handle: BoxHandle, search: Search, signal: AbortSignal) {
  const { pattern, path, glob = '', fixed, ignoreCase, maxMatches, timeoutSeconds } = search
  const argv = ['sh', '-c', script, 'sh', pattern, path, glob, fixed ? '1' : '', ignoreCase ? '1' : '']
  const command = await handle.stream(argv, { label: 'search', timeoutMs: timeoutSeconds * 1000, signal })
  command.exit.catch(() => undefined)
  // It is no command of the user's: the list of those shall not be full of searches.
  const forget = (): void => void handle.jobs.forget(command.job.id).catch(() => undefined)
  const matches: { path: string; line: number; text: string }[] = []
  const decoder = new TextDecoder()
  let by = ''
  let held = ''
  let said = ''
  for await (const { stream, data } of command) {
    if (stream === 'stderr') {
      said = (said + Buffer.from(data).toString()).slice(0, 1000)
      continue
    }
    held += decoder.decode(data, { stream: true })
    const lines = held.split('\n')
    held = (lines.pop() ?? '').slice(0, heldLetters)
    for (const line of lines) {
      const match = parse(line)
      if (by === '') by = line
      else if (match && matches.length < maxMatches) matches.push(match)
    }
    if (matches.length >= maxMatches) {
      await command.kill('SIGKILL')
      command.detach()
      forget()
      return { matches, complete: false, by }
    }
  }
  const { exitCode, timedOut } = await command.exit
  forget()
  if (timedOut) {
    throw toolError(
      'timeout',
      `The search took longer than ${timeoutSeconds} s and was ended, with ${matches.length} matches.`,
      'Make the pattern simpler, name a smaller path or a glob, or give more timeoutSeconds.',
    )
  }
  if (exitCode !== 0 && exitCode !== 1 && matches.length === 0) {
    throw toolError(
      'invalid_request',
      `The search failed: ${said.trim() || `exit code ${exitCode}`}.`,
      'Correct the pattern, or set fixed to look for plain text.',
    )
  }
  return { matches, complete: true, by }
}

function parse(line: string): { path: string; line: number; text: string } | undefined {
  const match = /^([^\0]+)\0(\d+):(.*)$/s.exec(line)
  return match
    ? { path: match[1] ?? '', line: Number(match[2]), text: (match[3] ?? '').slice(0, lineLetters) }
    : undefined
}
