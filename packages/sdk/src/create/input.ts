import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type CreateBox, GibilError, parseRepo, type RepoInput, withoutCredentials } from '@gibil/contract'
import { cloneHere } from '../repo/clone.ts'
import { tokenFromGit } from '../repo/credentials.ts'
import { headOf } from '../repo/pack.ts'

/** A repository as a user gives it: an https, ssh or short address, or a path here. */
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
  const address = parseRepo(source)
  const withBranch = branch === undefined ? {} : { branch }

  if (address.kind === 'https') {
    const secret = token === 'auto' ? await tokenFromGit(address.url, signal) : token
    // Credentials in the address itself are for the daemon to take out: it knows user and password apart.
    const url = secret === undefined && address.credentials ? source : address.url
    return {
      input: { url, ...withBranch, ...(secret === undefined ? {} : { token: secret }) },
      upload: undefined,
      ...nothingToRemove,
    }
  }
  if (address.kind === 'ssh') {
    const shown = withoutCredentials(address.url)
    onStep(`cloning ${shown} with your own keys`)
    const clone = await cloneHere(address.url, { branch, signal })
    return uploadOf(clone.path, shown, withBranch, async () => clone[Symbol.asyncDispose]())
  }
  const path = await localDirectory(address.url, cwd)
  const head = await headOf(path, signal)
  if (branch === undefined || branch === head.branch) {
    return uploadOf(path, path, head.branch === undefined ? {} : { branch: head.branch })
  }
  onStep(`cloning branch ${branch} of ${path}`)
  const clone = await cloneHere(path, { branch, origin: head.origin, signal })
  return uploadOf(clone.path, path, withBranch, async () => clone[Symbol.asyncDispose]())
}

async function localDirectory(given: string, cwd: string): Promise<string> {
  const path = /^~(?:\/|$)/.test(given) ? join(homedir(), given.slice(1)) : resolve(cwd, given)
  const info = await stat(path).catch(() => undefined)
  if (info?.isDirectory()) return path
  throw new GibilError(
    'invalid_repo',
    info ? `${path} is not a directory.` : `There is no directory ${path} on this machine.`,
  )
}

const nothingToRemove = { [Symbol.asyncDispose]: async () => {} }

async function uploadOf(
  path: string,
  source: string,
  extra: { readonly branch?: string },
  remove: () => Promise<void> = async () => {},
): Promise<PreparedRepo> {
  // The box is made before the tree is sent, so what the file says of its making goes ahead.
  const config = await readFile(join(path, '.gibil.yml'), 'utf8').catch(() => undefined)
  const input = { upload: true, source, ...extra, ...(config === undefined ? {} : { config }) }
  return { input, upload: path, [Symbol.asyncDispose]: remove }
}
