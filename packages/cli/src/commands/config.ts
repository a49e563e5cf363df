import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import { configPaths, readDefaults } from '../config/config.ts'
import type { Cli } from '../context.ts'
import { amountOfMoney } from '../options/cloud.ts'
import { budgetLine } from '../output/budget.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).action(action(cli, config))
  const sub = (name: string, summary: string): Command =>
    withCommonOptions(command.command(name).description(summary).exitOverride())
  sub(
    'set',
    'Set what boxes of clouds may cost: budget.daily for all on one day (UTC), budget.box for one in all its life.',
  )
    .argument('<setting>', settings.join(' or '))
    .argument('<amount>', 'net, in the currency of the cloud, such as 5.00')
    .action(action(cli, (session: Session, name: string, value: string) => set(session, name, amountOfMoney(value))))
  sub('unset', 'Take such a limit away.')
    .argument('<setting>', settings.join(' or '))
    .action(action(cli, (session: Session, name: string) => set(session, name, null)))
}

/** Settings that the daemon keeps; those of `create` are in files, which `gibil init` writes. */
const settings = ['budget.daily', 'budget.box'] as const

async function set(session: Session, name: string, value: string | null): Promise<void> {
  if (!settings.some((known) => known === name)) {
    throw new GibilError('invalid_request', `There is no setting "${name.slice(0, 80)}".`, {
      hint: `There are: ${settings.join(', ')}. Defaults of create: gibil init.`,
    })
  }
  const { gibil, signal } = session
  const { budget } = await gibil.cost({ signal })
  const before = { daily: budget?.daily ?? null, perBox: budget?.perBox ?? null }
  const after = await gibil.setBudget({ ...before, [name === 'budget.daily' ? 'daily' : 'perBox']: value }, { signal })
  session.emit(after, '')
  session.note(`${session.colors.green('✓')} ${budgetLine(after)}\n`)
}

async function config(session: Session): Promise<void> {
  const paths = configPaths(session)
  const defaults = await readDefaults(session)
  const daemon = await session.gibil.endpoint()
  const where = daemon.kind === 'socket' ? daemon.path : daemon.url.href
  const { stringify } = await import('yaml')
  session.emit({ home: session.home, daemon: where, files: paths, defaults }, () =>
    stringify({ home: session.home, daemon: where, defaults }),
  )
  if (Object.keys(defaults).length === 0) session.note('No defaults are set. Write some: gibil init\n')
}
