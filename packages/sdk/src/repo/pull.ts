import { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import type { DownloadResult } from '../tree/download.ts'
import { extractTree } from '../tree/extract.ts'
import { baseRef } from './base.ts'
import { checkBranchName, fetchBundle } from './bundle.ts'
import { git, tryGit } from './git.ts'
import type { WorkBox } from './work-box.ts'

export interface PullOptions {
  /** Directory in the box; default: its repository, else ~/project. */
  readonly path?: string | undefined
  readonly user?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface BranchResult {
  readonly branch: string
  readonly commit: string
  /** Whether the box has changes that are in no commit, and so are not in the branch. */
  readonly uncommitted: boolean
}

/** Ways to bring work of a box back. What comes is of the box's making: look at it before it is run. */
export interface PullApi {
  /** All that changed since the box was given the work, committed or not, as `git apply` takes it. Empty: nothing changed. */
  patch(options?: PullOptions): Promise<AsyncIterable<Uint8Array>>
  /** Its commits into a local branch; nothing is checked out. */
  branch(name: string, local: string, options?: PullOptions): Promise<BranchResult>
  /** Its files into a local directory: in git what is not ignored, elsewhere everything. Never `.git`. Deletes nothing. */
  files(local: string, options?: PullOptions): Promise<DownloadResult>
}

export function createPull(box: WorkBox): PullApi {
  const where = async (options: PullOptions): Promise<string> =>
    options.path ?? (await box.info({ signal: options.signal })).repo?.path ?? '~/project'

  /** Output of a script in the box as it comes; a failure is thrown with what it said. */
  async function* output(
    script: string,
    args: readonly string[],
    options: PullOptions,
    stdin = '',
  ): AsyncGenerator<Uint8Array> {
    const { user, signal } = options
    const cwd = await where(options)
    const command = await box.stream(['sh', '-c', script, 'sh', ...args], {
      cwd,
      user,
      signal,
      stdin: stdin !== '',
      label: 'pull',
    })
    if (stdin !== '') command.stdin.end(stdin)
    let said = ''
    for await (const { stream, data } of command) {
      if (stream === 'stdout') yield data
      else if (said.length < 4096) said += Buffer.from(data).toString('utf8')
    }
    const { exitCode } = await command.exit
    if (exitCode === 0) return
    throw new GibilError(
      'command_failed',
      `git in the box failed: ${said.trim().split('\n').at(-1) || `exit code ${exitCode}`}`,
      {
        hint: `Check that ${cwd} in the box is a healthy git repository.`,
        details: { log: said },
      },
    )
  }

  return {
    async patch(options = {}) {
      const { repo } = await box.info({ signal: options.signal })
      return output(patchScript, [baseRef, repo?.commit ?? 'HEAD'], options)
    },

    async branch(name, local, options = {}) {
      const { signal } = options
      const here = { cwd: local, signal }
      await checkBranchName(name, here)
      const state = await text(output('git rev-parse --verify HEAD && git status --porcelain | head -c 1', [], options))
      const [commit = '', changes = ''] = state.split('\n')
      if (!/^[0-9a-f]{40,64}$/.test(commit)) throw new GibilError('boxd_protocol', 'The box did not name a commit.')
      const known = await tryGit(['cat-file', '-e', `${commit}^{commit}`], here)
      if (known.status === 0) await git(['fetch', '--quiet', '.', `${commit}:refs/heads/${name}`], here)
      else await fetchNew((tips) => output(bundleScript, [], options, tips), name, local, signal)
      return { branch: name, commit, uncommitted: changes !== '' }
    },

    async files(local, options = {}) {
      const { signal } = options
      const probe = await box.run('git rev-parse --git-dir >/dev/null && command -v tar', {
        cwd: await where(options),
        user: options.user,
        signal,
      })
      if (probe.exitCode !== 0) return box.files.download(await where(options), local, { exclude: ['.git'], signal })
      return extractTree(Readable.from(output(filesScript, [], options), { objectMode: false }), local, { signal })
    },
  }
}

const patchScript = `
set -e
base=$(git rev-parse -q --verify "$1^{commit}" || git rev-parse -q --verify "$2^{commit}" || git hash-object -t tree /dev/null)
index=$(mktemp) && trap 'rm -f "$index"' EXIT
cp -p "$(git rev-parse --git-path index)" "$index" 2>/dev/null || rm -f "$index"
GIT_INDEX_FILE="$index" git add -A
GIT_INDEX_FILE="$index" git diff --cached --binary --no-color --no-ext-diff --no-textconv "$base"
`

/** Reads commits that the other side has; those that are known here need not be sent. */
const bundleScript = `
set -e
have=$(git cat-file --batch-check='%(objecttype) ^%(objectname)' | sed -n 's/^commit //p')
git bundle create --quiet - HEAD $have
`

const filesScript = `
git ls-files -z -co --exclude-standard --deduplicate |
xargs -0 sh -c 'for f; do if [ -L "$f" ] || [ -f "$f" ]; then printf "%s\\0" "$f"; fi; done' sh |
tar -c --null --no-recursion -T -
`

async function text(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let result = ''
  for await (const chunk of chunks) {
    result += Buffer.from(chunk).toString('utf8')
    if (result.length > 4096) break
  }
  return result
}

/** Tips of local branches and tags tell the box what is here already; the most recent are enough. */
const maxTips = 500

/** `create` makes a bundle of what is not reachable from some tips. */
async function fetchNew(
  create: (tips: string) => AsyncIterable<Uint8Array>,
  branch: string,
  local: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const here = { cwd: local, signal }
  const tips = await git(
    ['for-each-ref', '--format=%(objectname)', '--sort=-committerdate', `--count=${maxTips}`],
    here,
  )
  const head = await tryGit(['rev-parse', '-q', '--verify', 'HEAD'], here)
  await fetchBundle(create(`${tips}${head.stdout}\n`), 'HEAD', branch, here)
}
