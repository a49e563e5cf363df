import { resolve } from 'node:path'
import { type CreateBox, GibilError, type RepoInput } from '@gibil/contract'
import { cloneHere } from '../repo/clone.ts'
import { tokenFromGit } from '../repo/credentials.ts'
import { headOf } from '../repo/pack.ts'
import { parseRepo, redactUrl } from '../repo/source.ts'

/** A repository as a user gives it; see `parseRepo` for the forms of `source`. */
export interface RepoOptions {
  readonly source: string
  readonly branch?: string | undefined
  /** For a private repository: used for the clone only. `auto`: what the user's own git would use. */
  readonly token?: string | undefined
  /** What relative paths are relative to; default: the current directory. */
  readonly cwd?: string | undefined
}

/** What a box is made of; all fields of the API, and `repo` as an address or a path. */
export type CreateOptions = Omit<CreateBox, 'repo'> & { readonly repo?: string | RepoOptions | undefined }

/** A repository as the API takes it, with the directory to upload when the box does not clone it itself. */
export interface PreparedRepo extends AsyncDisposable {
  readonly input: RepoInput
  readonly upload: string | undefined
}

/**
 * Finds out how a repository gets into the box, and clones it here when only this machine has the keys.
 * Throws `invalid_repo`, `repo_not_found`, `clone_failed`.
 */
export async function prepareRepo(
  repo: string | RepoOptions,
  onStep: (text: string) => void,
  signal?: AbortSignal,
): Promise<PreparedRepo> {
  const { source, branch, token, cwd = process.cwd() } = typeof repo === 'string' ? { source: repo } : repo
  const parsed = parseRepo(source, resolve(cwd))
  const withBranch = branch === undefined ? {} : { branch }

  if (parsed.kind === 'https') {
    const found = token === 'auto' ? await tokenFromGit(parsed.url, signal) : (token ?? parsed.token)
    const secret = found !== undefined && mayCarryToken(parsed.url) ? { token: found } : {}
    return { input: { url: parsed.url, ...withBranch, ...secret }, upload: undefined, ...nothingToRemove }
  }
  if (parsed.kind === 'ssh') {
    onStep(`cloning ${redactUrl(parsed.url)} with your own keys`)
    const clone = await cloneHere(parsed.url, { branch, signal })
    return uploadOf(clone.path, redactUrl(parsed.url), withBranch, async () => clone[Symbol.asyncDispose]())
  }
  const head = await headOf(parsed.path, signal)
  if (branch === undefined || branch === head.branch) {
    return uploadOf(parsed.path, parsed.path, head.branch === undefined ? {} : { branch: head.branch })
  }
  onStep(`cloning branch ${branch} of ${parsed.path}`)
  const clone = await cloneHere(parsed.path, { branch, origin: head.origin, signal })
  return uploadOf(clone.path, parsed.path, withBranch, async () => clone[Symbol.asyncDispose]())
}

const nothingToRemove = { [Symbol.asyncDispose]: async () => {} }

function uploadOf(
  path: string,
  source: string,
  extra: { readonly branch?: string },
  remove: () => Promise<void> = async () => {},
): PreparedRepo {
  return { input: { upload: true, source, ...extra }, upload: path, [Symbol.asyncDispose]: remove }
}

/** A token goes over TLS, or to this very machine. */
function mayCarryToken(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  if (protocol === 'https:' || /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(hostname)) return true
  throw new GibilError('invalid_repo', `A token would be sent to ${hostname} without encryption.`, {
    hint: 'Use the https address, or leave the token out.',
  })
}
