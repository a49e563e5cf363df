import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BoxHandle, type Gibil, GibilError } from '@gibil/sdk'
import { publicKey } from './key.ts'
import type { SshPaths } from './paths.ts'

/** Of what a box says its host keys are; more than sshd makes. Hostile text. */
const maxHostKeys = 8
const hostKey = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,2})(?: |$)/

const readHostKeys = 'cat /etc/ssh/ssh_host_*_key.pub'
const admit = `umask 077 && mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys &&
{ grep -qxF -e "$1" ~/.ssh/authorized_keys || printf '%s\\n' "$1" >> ~/.ssh/authorized_keys; }`

/** What answers: the sshd of the box, or the SSH server of the daemon, for a box that has none. */
export type SshServer = 'box' | 'daemon'

/**
 * Makes a box and this home known to each other, over boxd: the key of the home goes into the box, and the host keys of the box are pinned here for
 * the name by which ssh calls it. So nobody is trusted at first sight. A box without an sshd is behind that of the daemon. Throws `user_not_found`.
 */
export async function introduce(
  gibil: Gibil,
  paths: SshPaths,
  ref: string,
  host: string,
  user: string,
): Promise<SshServer> {
  const box = gibil.box(ref)
  const keys = await hostKeysOf(box)
  if (keys.length === 0) {
    await pinDaemon(gibil, paths, host)
    return 'daemon'
  }
  const admitted = await box.run(['sh', '-c', admit, 'sh', await publicKey(paths)], { user, cwd: '/' })
  if (admitted.exitCode !== 0) {
    throw new GibilError('command_failed', `The key of this home could not be given to ${user} in ${box.ref}.`, {
      hint: `See ~/.ssh of that user: gibil shell ${box.ref}`,
      details: { log: admitted.stderr.slice(-1024) },
    })
  }
  await pin(paths, host, keys)
  return 'box'
}

/** None where no sshd was installed. */
async function hostKeysOf(box: BoxHandle): Promise<string[]> {
  const found = await box.run(['sh', '-c', readHostKeys], { user: 'root', cwd: '/' }).catch((error: unknown) => {
    // A box without a shell has no sshd either.
    if (GibilError.is(error) && error.code === 'command_not_found') return { stdout: '' }
    throw error
  })
  const lines = found.stdout.split('\n').flatMap((line) => {
    const [, kind, data] = hostKey.exec(line) ?? []
    return kind === undefined ? [] : [`${kind} ${data}`]
  })
  return lines.slice(0, maxHostKeys)
}

/** For a box whose sshd does not run, too. */
export async function pinDaemon(gibil: Gibil, paths: SshPaths, host: string): Promise<void> {
  await pin(paths, host, [(await gibil.ssh()).hostKey])
}

/** Replaced as a whole: what another box of that name had is gone. */
async function pin({ knownHosts }: SshPaths, host: string, keys: readonly string[]): Promise<void> {
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(host)) throw new GibilError('invalid_name', `"${host}" is not the name of a host.`)
  await mkdir(knownHosts, { recursive: true, mode: 0o700 })
  const path = join(knownHosts, host)
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, keys.map((key) => `${host} ${key}\n`).join(''), { mode: 0o600 })
  await rename(temporary, path)
}
