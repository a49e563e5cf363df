import { GibilError, type SessionResult } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { BoxdPort } from '../ports/boxd.ts'
import type { SessionFiles } from '../ports/session-files.ts'
import type { SessionRecord } from '../session-record.ts'
import { describeExit } from '../setup/commands.ts'

const scriptMs = 300_000
const keptLog = 4096

/**
 * Makes one commit of the work: what is committed, and on top what is not, without touching the index of the repository. A bundle of what the
 * base has not and a patch of all that changed since the box was given its tree are left in a directory. Says nothing where nothing changed.
 */
const script = `
set -e
given=$1 out=$2
git rev-parse --git-dir >/dev/null 2>&1 || exit 0
rm -rf "$out" && mkdir -m 700 "$out"
commit() { git rev-parse -q --verify "$1^{commit}" || true; }
who=$(git config user.name || echo gibil) mail=$(git config user.email || echo gibil@localhost)
base=$(commit "$given") head=$(commit HEAD) begin=$(commit refs/gibil/base)
: "\${begin:=$base}"
cp -p "$(git rev-parse --git-path index)" "$out/index" 2>/dev/null || true
GIT_INDEX_FILE=$out/index git -c core.safecrlf=false add -A
tree=$(GIT_INDEX_FILE=$out/index git write-tree)
tip=$head left=false
if [ -z "$head" ] || [ "$tree" != "$(git rev-parse "$head^{tree}")" ]; then
  left=true
  tip=$(git -c user.name="$who" -c user.email="$mail" -c commit.gpgsign=false commit-tree \${head:+-p "$head"} -m 'What was left uncommitted' "$tree")
fi
[ "$head" = "$base" ] && [ -n "$begin" ] && [ "$tree" = "$(git rev-parse "$begin^{tree}")" ] && exit 0
[ -z "$base" ] && [ -z "$(git ls-tree "$tree" | head -c 1)" ] && exit 0
count=$(git rev-list --count "$tip" \${base:+"^$base"})
: >"$out/bundle"
git update-ref refs/gibil/result "$tip"
[ "$count" = 0 ] || git bundle create --quiet "$out/bundle" refs/gibil/result \${base:+"^$base"}
git diff --binary --no-color --no-ext-diff --no-textconv "\${begin:-$(git hash-object -t tree /dev/null)}" "$tip" >"$out/patch"
echo "$tip \${base:-none} $count $left"
`

const answer = /^([0-9a-f]{40,64}) ([0-9a-f]{40,64}|none) (\d+) (true|false)$/

/**
 * Brings what a session has changed out of its box, and keeps it. Null where that is nothing, or where there is no repository. May be repeated.
 * Throws `command_failed`, `payload_too_large`, `disk_full`.
 */
export async function fetchResult(
  boxd: BoxdPort,
  files: SessionFiles,
  { id }: SessionRecord,
  { repo }: Pick<BoxRecord, 'repo'>,
  signal: AbortSignal,
): Promise<SessionResult | null> {
  if (!repo) return null
  const out = `/tmp/.gibil-${id}`
  const decoder = new TextDecoder()
  let said = ''
  let log = ''
  const exit = await boxd.exec(
    {
      argv: ['sh', '-c', script, 'sh', repo.commit ?? '', out],
      cwd: repo.path,
      label: 'session result',
      timeoutMs: scriptMs,
    },
    (stream, data) => {
      const text = decoder.decode(data)
      if (stream === 'stdout') said = (said + text).slice(0, keptLog)
      else log = (log + text).slice(-keptLog)
    },
    signal,
  )
  if (exit.exitCode !== 0) throw failed(`git ${describeExit(exit)}`, log)
  if (said.trim() === '') return null
  const found = answer.exec(said.trim())
  if (!found?.[1]) throw failed('the box gave no commit', said)
  const bundleBytes = await files.keepResult(id, 'bundle', await boxd.download(`${out}/bundle`))
  const patchBytes = await files.keepResult(id, 'patch', await boxd.download(`${out}/patch`))
  await boxd.exec({ argv: ['rm', '-rf', out], label: 'session result' }, () => undefined, signal)
  return {
    commit: found[1],
    base: found[2] === undefined || found[2] === 'none' ? null : found[2],
    commits: Number(found[3]),
    uncommitted: found[4] === 'true',
    bundleBytes,
    patchBytes,
  }
}

const failed = (why: string, log: string): GibilError =>
  new GibilError('command_failed', `The work could not be fetched from the box: ${why}.`, {
    hint: 'The box is kept: look with `gibil shell`, and fetch it with `gibil pull`.',
    details: { log },
  })
