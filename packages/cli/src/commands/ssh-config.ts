import { homedir } from 'node:os'
import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { install, uninstall, writeSshConfig } from '../ssh/config.ts'
import { publicKey } from '../ssh/key.ts'
import { hostSuffix, sshPaths } from '../ssh/paths.ts'

interface Flags {
  readonly install?: boolean
  readonly uninstall?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('--install', 'include it in ~/.ssh/config, by one line at its beginning')
    .option('--uninstall', 'take that line out again')
    .addHelpText('after', `\nThen: ssh <box>${hostSuffix}; boxes that there are now by their names alone too.`)
    .action(action(cli, sshConfig))
}

async function sshConfig(session: Session, flags: Flags): Promise<void> {
  const paths = sshPaths(session.home)
  const userHome = session.env['HOME'] ?? homedir()
  if (flags.install && flags.uninstall) {
    throw new GibilError('invalid_request', '--install and --uninstall are one too many.')
  }
  if (flags.uninstall) {
    const changed = await uninstall(userHome, paths)
    session.emit({ config: paths.config, installed: false, changed }, '')
    session.note(changed ? 'Taken out of ~/.ssh/config.\n' : 'It was not in ~/.ssh/config.\n')
    return
  }
  await publicKey(paths)
  await writeSshConfig(session.home, paths, await session.gibil.list({ signal: session.signal }))
  const changed = flags.install ? await install(userHome, paths) : false
  session.emit({ config: paths.config, installed: flags.install === true, changed }, `${paths.config}\n`)
  if (!flags.install) session.note('  next: gibil ssh-config --install   or: ssh -F <that file> <box>\n')
  else session.note(`${session.colors.green('✓')} ssh <box>${hostSuffix} works, and scp, sftp and rsync\n`)
}
