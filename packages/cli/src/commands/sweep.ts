import { type Command, Option } from 'commander'
import * as z from 'zod'
import type { Cli } from '../context.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { runEntry } from '../setup/entry.ts'
import { cloudSweepEntry } from '../setup/source-tree.ts'

export function define(command: Command, cli: Cli): void {
  const provider = new Option(
    '--provider <provider>',
    'hetzner: end the boxes there whose lease is over, whichever machine made them; needs the token alone, no daemon',
  )
  withCommonOptions(command)
    .addOption(provider.choices(['local', 'hetzner']).default('local'))
    .action(action(cli, sweep))
}

async function sweep(session: Session, { provider }: { readonly provider: string }): Promise<number> {
  if (provider !== 'local') return sweepCloud(session)
  const result = await session.gibil.sweep({ signal: session.signal })
  session.emit(result, () => result.removed.map((id) => `${id}\n`).join(''))
  session.note(
    result.removed.length === 0
      ? 'Nothing to sweep.\n'
      : `${session.colors.green('✓')} removed what was left of ${result.removed.length} boxes\n`,
  )
  return 0
}

const CloudSweep = z.object({
  swept: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      deadline: z.number(),
      failure: z.object({ message: z.string(), hint: z.string() }).loose().nullable(),
    }),
  ),
})

/** Ends with 1 when something is still there, so that cron says so. */
async function sweepCloud(session: Session): Promise<number> {
  const { home, signal, colors } = session
  const result = await runEntry(cloudSweepEntry, { args: ['--home', home], schema: CloudSweep, signal })
  const { swept } = result
  session.emit(result, () => swept.map(({ id, name, failure }) => (failure ? '' : `${id}  ${clean(name)}\n`)).join(''))
  const left = swept.filter(({ failure }) => failure !== null)
  for (const { id, failure } of left) session.note(`${colors.red('✗')} ${id}: ${clean(failure?.message ?? '')}\n`)
  const ended = swept.length - left.length
  session.note(
    swept.length === 0
      ? 'No lease is over.\n'
      : ended > 0
        ? `${colors.green('✓')} ended ${ended} boxes whose lease was over\n`
        : '',
  )
  return left.length === 0 ? 0 : 1
}
