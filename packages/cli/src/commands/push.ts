import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface Flags {
  readonly path?: string
  readonly full?: boolean
  readonly user?: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[dir]', 'directory here', '.')
    .option('--path <dir>', 'where to in the box (default: its repository, else ~/project)')
    .option('--full', 'send every file, not only what differs from the commit of the box')
    .option('--user <user>', 'owner of what is written')
    .addHelpText('after', '\nWhat .gitignore and .gibilignore name stays here.')
    .action(action(cli, push))
}

async function push(session: Session, ref: string, dir: string, flags: Flags): Promise<void> {
  const result = await session.gibil.box(ref).push(resolve(session.cwd, dir), { ...flags, signal: session.signal })
  const { path, files, deleted, full } = result
  const count = `${files} ${files === 1 ? 'file' : 'files'}${deleted > 0 ? `, ${deleted} deleted` : ''}${full ? ' (all)' : ''}`
  session.emit(result, '')
  session.note(`${session.colors.green('✓')} ${count} -> ${clean(ref)}:${clean(path)}\n`)
  session.note(`  next: gibil run ${ref} -- <command>   gibil pull ${ref} --patch -\n`)
}
