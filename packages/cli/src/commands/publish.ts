import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { portNumber } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('<port>', 'the TCP port on which a program in the box listens, or will')
    .option('--public', 'without a token, for whoever reaches the proxy of the daemon')
    .action(action(cli, publish))
}

async function publish(session: Session, ref: string, text: string, flags: { public?: boolean }): Promise<void> {
  const port = portNumber(text)
  const address = await session.gibil.box(ref).publish(port, { public: flags.public === true, signal: session.signal })
  session.emit(address, `${address.link ?? ''}\n`)
  const { green } = session.colors
  session.note(
    address.public
      ? `${green('✓')} port ${port} of ${ref} is public: programs of this machine, and pages in its browsers, reach it\n`
      : `${green('✓')} port ${port} of ${ref} is private: this link opens it, as does its token in the header X-Gibil-Token\n`,
  )
}
