import { mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Box } from '@gibil/sdk'
import { cliEntry } from '../setup/source-tree.ts'
import { hostSuffix, type SshPaths } from './paths.ts'

/** For a shell, and with the percent signs that ssh would expand. */
const word = (text: string): string => `'${text.replaceAll("'", `'\\''`).replaceAll('%', '%%')}'`
/** For ssh_config(5), which has quotes and no escapes. */
const quoted = (text: string): string => `"${text.replaceAll('%', '%%')}"`

const usualUser = 'agent'

/** Hosts by which a box is known. One of a token has its name beside others of that name, so by its id alone. */
const hostsOf = ({ id, name, owner }: Box): string[] =>
  owner === null ? [name, `${name}${hostSuffix}`, `${id}${hostSuffix}`] : [`${id}${hostSuffix}`]

/** The text of a config for ssh: a pattern for every box, and the names of those that there are. */
function configText(home: string, paths: SshPaths, boxes: readonly Box[]): string {
  const users = boxes
    .filter(({ user }) => user !== usualUser)
    .map((box) => `Host ${hostsOf(box).join(' ')}\n  User ${box.user}\n`)
  const names = boxes.filter(({ owner }) => owner === null).map(({ name }) => name)
  const proxy = [process.execPath, cliEntry, '__ssh-proxy', '--home', home].map(word).join(' ')
  return `# Written by \`gibil ssh-config\`; what is changed here is lost.
${users.join('')}Host ${[`*${hostSuffix}`, ...names].join(' ')}
  User ${usualUser}
  ProxyCommand ${proxy} %n %r
  IdentityFile ${quoted(paths.key)}
  IdentitiesOnly yes
  PasswordAuthentication no
  UserKnownHostsFile ${quoted(paths.knownHosts).slice(0, -1)}/%n"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  CheckHostIP no
`
}

/** Writes it whole or not at all. */
export async function writeSshConfig(home: string, paths: SshPaths, boxes: readonly Box[]): Promise<void> {
  await mkdir(paths.dir, { recursive: true, mode: 0o700 })
  await replace(paths.config, configText(home, paths, boxes))
}

const userConfig = (home: string): string => join(home, '.ssh', 'config')

/** Puts one Include line first in the user's own config, where it holds for every host. False: it is there already. */
export async function install(userHome: string, { config }: SshPaths): Promise<boolean> {
  const path = userConfig(userHome)
  const line = `Include ${quoted(config)}`
  const text = await readIfThere(path)
  if (text.split('\n').includes(line)) return false
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await replace(path, `${line}\n${text}`)
  return true
}

/** Takes that line out again, and nothing else. False: it is not there. */
export async function uninstall(userHome: string, { config }: SshPaths): Promise<boolean> {
  const path = userConfig(userHome)
  const lines = (await readIfThere(path)).split('\n')
  const others = lines.filter((line) => line !== `Include ${quoted(config)}`)
  if (others.length === lines.length) return false
  await replace(path, others.join('\n'))
  return true
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
}

/** With the mode that the file had; a symbolic link stays one. */
async function replace(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const mode = await stat(target).then(
    (found) => found.mode & 0o777,
    () => 0o600,
  )
  const temporary = `${target}.${process.pid}.tmp`
  await writeFile(temporary, text, { mode })
  await rename(temporary, target)
}
