import { pipeline } from 'node:stream/promises'
import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session } from '../session.ts'
import { introduce, noSshd } from '../ssh/introduce.ts'
import { boxOfHost, sshPaths } from '../ssh/paths.ts'

/** Not for people: the ProxyCommand of OpenSSH. Its standard input and output become a connection to the sshd of a box. */
export function define(command: Command, cli: Cli): void {
  command
    .argument('<host>', 'as ssh was given it')
    .argument('<user>', 'whom ssh logs in as')
    .option('--home <dir>', 'home directory of the daemon (GIBIL_HOME)')
    .action(action(cli, proxy))
}

async function proxy(session: Session, host: string, user: string): Promise<void> {
  const box = session.gibil.box(boxOfHost(host))
  await introduce(sshPaths(session.home), box, host, user)
  const stream = await box.dial(22, { signal: session.signal }).catch((error: unknown) => {
    throw GibilError.is(error) && error.code === 'port_closed' ? noSshd(box.ref, 'has no sshd that runs') : error
  })
  // ssh ends its side when it is done, also while the box still sends.
  const input = pipeline(session.stdin, stream, { end: true }).catch(() => stream.destroy())
  await pipeline(stream, session.stdout, { end: false }).catch(() => stream.destroy())
  session.stdin.destroy()
  await input
}
