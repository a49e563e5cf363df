import { GibilError } from '@gibil/contract'
import type { RepoRecord } from '../box-record.ts'
import type { RepoToken } from '../plane/context.ts'
import { capture, describeExit, exec, type SetupRun } from './commands.ts'

/** The directory below the home directory that a repository is put into. */
const repoDirectory = 'project'
export const repoPath = `~/${repoDirectory}`

export const basicAuth = ({ username, password }: RepoToken): string =>
  Buffer.from(`${username}:${password}`).toString('base64')

/**
 * The environment of `git clone`: it never asks, and sends the token to the host of the repository only. The token is in the
 * environment of this one process: not in its arguments, which the whole box sees, and not in .git/config, which stays.
 * (`GIT_CONFIG_COUNT` is in git since 2.31: https://git-scm.com/docs/git-config#ENVIRONMENT.)
 */
function cloneEnv(url: string, token: RepoToken | undefined): Record<string, string> {
  const quiet = { GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '', SSH_ASKPASS: '' }
  if (!token) return quiet
  return {
    ...quiet,
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `http.${new URL(url).origin}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${basicAuth(token)}`,
  }
}

// What git and the servers say; see `remote-curl.c` and `transport.c` of git.
const notThere =
  /repository .* not found|not found: did you run|could not read (Username|Password)|Authentication failed|Remote branch .* not found|does not appear to be a git repository|The requested URL returned error: (401|403|404)|repository '.*' not found/i

/** Clones the repository as the user of the box. Throws `repo_not_found` or `clone_failed`. */
export async function clone(
  run: SetupRun,
  repo: RepoRecord & { url: string },
  token: RepoToken | undefined,
  timeoutMs: number,
): Promise<void> {
  const branch = repo.branch === undefined ? [] : ['--branch', repo.branch]
  const failed = (code: 'repo_not_found' | 'clone_failed', message: string, cause?: unknown): GibilError =>
    new GibilError(code, message, { details: { step: 'clone', log: run.output.tail(), repo: repo.source }, cause })
  const exit = await exec(run, {
    argv: ['git', 'clone', ...branch, '--', repo.url, repoDirectory],
    cwd: '~',
    env: cloneEnv(repo.url, token),
    label: 'clone',
    timeoutMs,
  }).catch((error: unknown) => {
    run.signal.throwIfAborted()
    const why =
      GibilError.is(error) && error.code === 'command_not_found'
        ? 'the image has no git'
        : GibilError.from(error).message
    throw failed('clone_failed', `${repo.source} could not be cloned: ${why}.`, error)
  })
  if (exit.exitCode === 0) return
  if (notThere.test(run.output.tail())) {
    const where = repo.branch === undefined ? '' : ` or has no branch "${repo.branch}"`
    throw failed(
      'repo_not_found',
      `${repo.source} does not exist${where}, or is private and the token given does not open it.`,
    )
  }
  throw failed('clone_failed', `${repo.source} could not be cloned: git ${describeExit(exit)}.`)
}

/** The commit that is checked out; undefined when it is no git repository. */
export async function headCommit(run: SetupRun): Promise<string | undefined> {
  const request = { argv: ['git', 'rev-parse', 'HEAD'], cwd: repoPath, label: 'commit', timeoutMs: 10_000 }
  const result = await capture(run, request).catch(() => undefined)
  run.signal.throwIfAborted()
  const text = result?.exit.exitCode === 0 ? result.stdout.trim() : ''
  return /^[0-9a-f]{40,64}$/.test(text) ? text : undefined
}
