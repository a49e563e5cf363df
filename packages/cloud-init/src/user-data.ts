import { gzipSync } from 'node:zlib'
import { stringify } from 'yaml'
import { deadManHook } from './dead-man.ts'
import { renderMime } from './mime.ts'
import { installScript, type WantedPackage } from './packages.ts'
import { checkUserText, invalid, mergeConfig } from './user-text.ts'

export interface UserDataOptions {
  /** A DNS label. */
  readonly hostname: string
  /** Default `agent`. It gets the uid 1000 and sudo without a password. */
  readonly agentUser?: string
  /** Public keys, one line each, of who may log in as that user. */
  readonly authorizedKeys: readonly string[]
  /** The host key that was made for this machine, as OpenSSH writes it. The machine has no other. */
  readonly hostKeys: { readonly privateKey: string; readonly publicKey: string }
  /** When the machine shall be gone, in seconds since 1970; null: never. */
  readonly deadline: number | null
  /** How long after that it powers itself off. */
  readonly graceSeconds: number
  /** Installed where they are not there. */
  readonly packages: readonly WantedPackage[]
  /** What the user gave; docs/cloud-init.md says what that may be. */
  readonly userText?: string | undefined
  /** The most that may come out, in bytes. Default 32 KiB, the limit of Hetzner Cloud; Infinity where there is none, as for a seed on a disk. */
  readonly maxBytes?: number
}

/** Of Hetzner Cloud's `user_data`. */
export const maxUserDataBytes = 32 * 1024

/**
 * The user data of a machine: a MIME message for cloud-init, or, where that is too large, the base64 of it compressed, which the datasource of Hetzner takes too
 * (DataSourceHetzner.py). It holds the host's private key, and no other secret. Throws `invalid_user_data`.
 */
export function renderUserData(options: UserDataOptions): string {
  const { deadline, graceSeconds, userText = '', maxBytes = maxUserDataBytes } = options
  const user = checkUserText(userText)
  const config = mergeConfig(ourConfig(options), user.config)
  const text = renderMime([
    { type: 'text/cloud-boothook', filename: 'gibil-dead-man', text: deadManHook(deadline, graceSeconds) },
    {
      type: 'text/cloud-config',
      filename: 'gibil',
      text: `#cloud-config\n${stringify(config, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false })}`,
    },
    ...user.parts,
  ])
  if (Buffer.byteLength(text) <= maxBytes) return text
  const packed = gzipSync(text, { level: 9 }).toString('base64')
  if (packed.length <= maxBytes) return packed
  throw invalid(
    `The cloud-init text is too large: with it a machine would be told ${packed.length} bytes, compressed, and the cloud takes ${maxBytes}.`,
  )
}

function ourConfig(options: UserDataOptions): Record<string, unknown> {
  const { hostname, agentUser = 'agent', authorizedKeys, hostKeys, packages } = options
  if (authorizedKeys.length === 0) throw invalid('Nobody could log in to the machine: there is no key.')
  for (const key of [...authorizedKeys, hostKeys.publicKey]) {
    if (!/^(ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]*=*( [^\n]*)?$/.test(key))
      throw invalid('A public key is not one line of OpenSSH.')
  }
  return {
    hostname,
    preserve_hostname: false,
    manage_etc_hosts: 'localhost',
    users: [
      {
        name: agentUser,
        uid: 1000,
        shell: '/bin/bash',
        sudo: 'ALL=(ALL) NOPASSWD:ALL',
        lock_passwd: true,
        ssh_authorized_keys: [...authorizedKeys],
      },
    ],
    disable_root: true,
    ssh_pwauth: false,
    chpasswd: { expire: false },
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: hostKeys.privateKey, ed25519_public: hostKeys.publicKey },
    write_files: [
      {
        path: '/etc/ssh/sshd_config.d/00-gibil.conf',
        content: sshdConfig,
      },
    ],
    runcmd: [['sh', '-c', installScript(packages, agentUser)]],
  }
}

/** The first value that sshd reads counts, and this is the first file that it reads. */
const sshdConfig = `HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
AllowStreamLocalForwarding yes
`
