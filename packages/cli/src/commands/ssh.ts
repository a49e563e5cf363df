import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { writeSshConfig } from '../ssh/config.ts'
import { introduce } from '../ssh/introduce.ts'
import { hostSuffix, sshPaths } from '../ssh/paths.ts'

interface Flags {
  readonly user?: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[command...]', 'instead of a login shell')
    .option('--user <user>', 'whom to log in as (default: the user of the box)')
    .addHelpText('after', '\nFor scp, sftp, rsync and editors: gibil ssh-config --install')
    .action(action(cli, ssh))
}

async function ssh(session: Session, ref: string, words: string[], flags: Flags): Promise<number> {
  const box = await session.gibil.get(ref, { signal: session.signal })
  const { id, user: usual } = await box.info()
  const { user = usual } = flags
  const paths = sshPaths(session.home)
  const host = `${id}${hostSuffix}`
  // Here too, so that what is wrong is said by us and not around what ssh makes of it.
  await introduce(session.gibil, paths, box.ref, host, user)
  await writeSshConfig(session.home, paths, await session.gibil.list({ signal: session.signal }))
  const child = spawn('ssh', ['-F', paths.config, '-l', user, host, ...words], { stdio: 'inherit' })
  // The terminal tells ssh as well; it decides what to do.
  const release = session.onInterrupt((signal) => void child.kill(signal))
  try {
    const [code, signal] = await once(child, 'exit').catch((cause: unknown) => {
      throw new GibilError('missing_tool', 'The program ssh of OpenSSH is missing.', {
        hint: `Install openssh-client, or use \`gibil shell ${ref}\`.`,
        cause,
      })
    })
    return signal ? 128 + constants.signals[signal as NodeJS.Signals] : Number(code)
  } finally {
    release()
  }
}
