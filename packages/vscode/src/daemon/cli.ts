import { execFile } from 'node:child_process'
import { homedir } from 'node:os'
import { GibilError } from '@gibil/sdk'
import type { Daemon } from './daemon.ts'
import { gibilCommand } from './settings.ts'

const longEnoughMs = 60_000

/** Runs `gibil` for the home of a daemon of this machine. Throws `missing_tool`, `invalid_request`, `command_failed`. */
export async function runGibil(daemon: Daemon, args: readonly string[]): Promise<string> {
  const program = gibilCommand()
  const all = [...args, '--home', await homeOf(daemon)]
  return new Promise((resolve, reject) => {
    execFile(program, all, { timeout: longEnoughMs, cwd: homedir() }, (error, stdout, stderr) => {
      if (!error) resolve(stdout)
      else if (error.code === 'ENOENT') reject(notFound(program))
      else {
        const message = stderr.trim() || error.message
        reject(new GibilError('command_failed', `\`gibil ${args.join(' ')}\` failed: ${message}`))
      }
    })
  })
}

/** Throws `invalid_request` for a daemon that is reached by an address, of whose machine nothing is known. */
export async function homeOf(daemon: Daemon): Promise<string> {
  const endpoint = await daemon.endpoint()
  if (endpoint.kind === 'socket') return endpoint.home
  throw new GibilError('invalid_request', 'ssh goes to boxes of a daemon of this machine, and this one is elsewhere.', {
    hint: 'Open a window on its machine by Remote-SSH, and use the extension there.',
  })
}

const notFound = (program: string): GibilError =>
  new GibilError('missing_tool', `There is no program "${program}" to be found.`, {
    hint: 'Name it in the setting gibil.command, such as /home/me/gibil/gibil.',
  })
