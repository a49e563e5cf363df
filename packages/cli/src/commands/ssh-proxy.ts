import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session } from '../session.ts'
import { introduce, pinDaemon } from '../ssh/introduce.ts'
import { boxOfHost, sshPaths } from '../ssh/paths.ts'

/** Not for people: the ProxyCommand of OpenSSH. Its standard input and output become a connection to the sshd of a box, or to that of the daemon. */
export function define(command: Command, cli: Cli): void {
  command
    .argument('<host>', 'as ssh was given it')
    .argument('<user>', 'whom ssh logs in as')
    .option('--home <dir>', 'home directory of the daemon (GIBIL_HOME)')
    .action(action(cli, proxy))
}

async function proxy(session: Session, host: string, user: string): Promise<void> {
  const stream = await connect(session, host, user)
  // ssh ends its side when it is done, also while the box still sends.
  const input = pipeline(session.stdin, stream, { end: true }).catch(() => stream.destroy())
  await pipeline(stream, session.stdout, { end: false }).catch(() => stream.destroy())
  session.stdin.destroy()
  await input
}

/** To the sshd of the box, if it runs one, else to that of the daemon: ssh reads the pinned host key after this. */
async function connect({ gibil, home, signal }: Session, host: string, user: string): Promise<Duplex> {
  const ref = boxOfHost(host)
  const paths = sshPaths(home)
  if ((await introduce(gibil, paths, ref, host, user)) === 'box') {
    const stream = await gibil
      .box(ref)
      .dial(22, { signal })
      .catch((error: unknown) => {
        if (GibilError.is(error) && error.code === 'port_closed') return undefined
        throw error
      })
    if (stream) return stream
    await pinDaemon(gibil, paths, host)
  }
  return gibil.box(ref).ssh({ signal })
}
