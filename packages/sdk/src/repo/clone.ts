import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GibilError, withoutCredentials } from '@gibil/contract'
import { git, tryGit } from './git.ts'

export interface LocalClone extends AsyncDisposable {
  readonly path: string
}

/**
 * Clones on this machine, with the keys and the agent of the user, into a temporary directory: for addresses that a box has no keys
 * for, and for a branch of a local repository. Throws `repo_not_found` or `clone_failed`.
 */
export async function cloneHere(
  url: string,
  options: {
    readonly branch?: string | undefined
    readonly origin?: string | undefined
    readonly signal?: AbortSignal | undefined
  },
): Promise<LocalClone> {
  const { branch, origin, signal } = options
  const directory = await mkdtemp(join(tmpdir(), 'gibil-clone-'))
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true })
  try {
    const path = join(directory, 'project')
    const args = ['clone', '--quiet', '--no-hardlinks', ...(branch ? ['--branch', branch] : []), '--', url, path]
    const result = await tryGit(args, { cwd: directory, interactive: true, signal })
    if (result.status !== 0) throw cloneError(url, branch, result.stderr)
    if (origin !== undefined) await git(['remote', 'set-url', 'origin', origin], { cwd: path, signal })
    return { path, [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}

function cloneError(url: string, branch: string | undefined, said: string): GibilError {
  const details = { log: said.trim().slice(-4096) }
  const shown = withoutCredentials(url)
  if (/Remote branch .* not found|Could not find remote branch/i.test(said)) {
    return new GibilError('repo_not_found', `${shown} has no branch ${branch}.`, {
      hint: 'Check the name of the branch.',
      details,
    })
  }
  if (/not found|does not exist|does not appear to be a git repository|Permission denied/i.test(said)) {
    return new GibilError('repo_not_found', `${shown} does not exist, or you may not read it.`, {
      hint: 'Check the address, and that `git clone` with it works here.',
      details,
    })
  }
  return new GibilError('clone_failed', `${shown} could not be cloned on this machine.`, {
    hint: 'See the log; the same `git clone` must work here.',
    details,
  })
}
