import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { git, tryGit } from './git.ts'

interface Here {
  readonly cwd: string
  readonly signal?: AbortSignal | undefined
}

const maxBundleBytes = 8 * 1024 ** 3

/** Fetches a ref of a bundle into a local branch. What comes is checked object by object, and no hook or file of it is run or checked out. */
export async function fetchBundle(
  chunks: AsyncIterable<Uint8Array>,
  ref: string,
  branch: string,
  here: Here,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'gibil-pull-'))
  try {
    const bundle = join(directory, 'commits.bundle')
    await save(chunks, bundle)
    await git(
      [
        '-c',
        'fetch.fsckObjects=true',
        'fetch',
        '--quiet',
        '--no-tags',
        '--no-recurse-submodules',
        bundle,
        `${ref}:refs/heads/${branch}`,
      ],
      here,
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function save(chunks: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  let size = 0
  try {
    for await (const chunk of chunks) {
      size += chunk.byteLength
      if (size > maxBundleBytes)
        throw new GibilError('payload_too_large', 'The box sends more commits than is reasonable.')
      await file.write(chunk)
    }
  } finally {
    await file.close()
  }
}

/** Throws `invalid_request`. */
export async function checkBranchName(name: string, here: Here): Promise<void> {
  if ((await tryGit(['check-ref-format', '--branch', name], here)).status === 0) return
  throw new GibilError('invalid_request', `"${name}" is not a name for a branch.`)
}
