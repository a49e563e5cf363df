import { execFile } from 'node:child_process'
import { link, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { GibilError } from '@gibil/sdk'
import type { SshPaths } from './paths.ts'

const run = promisify(execFile)

/** The public half of the key of this home, which is made at its first use: by one of those who come at the same time. */
export async function publicKey({ dir, key }: SshPaths): Promise<string> {
  const known = await readFile(`${key}.pub`, 'utf8').catch(() => undefined)
  if (known !== undefined) return known.trim()
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const making = await mkdtemp(join(dir, 'making-'))
  try {
    const made = join(making, 'key')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'gibil', '-f', made]).catch((cause: unknown) => {
      throw new GibilError('missing_tool', 'The program ssh-keygen of OpenSSH is missing or failed.', {
        hint: 'Install openssh-client.',
        cause,
      })
    })
    // The private half first: whoever sees the public one can use it. The first to come wins both.
    const first = await link(made, key).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
        return false
      },
    )
    if (first) await link(`${made}.pub`, `${key}.pub`)
    else return (await run('ssh-keygen', ['-y', '-f', key])).stdout.trim()
    return (await readFile(`${key}.pub`, 'utf8')).trim()
  } finally {
    await rm(making, { recursive: true, force: true })
  }
}
