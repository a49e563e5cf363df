import { type AdoptableBox, type Box, costInWords, errorTable, GibilError } from '@gibil/sdk'
import { type Command, Option } from 'commander'
import type { Cli } from '../context.ts'
import { duration } from '../options/parse.ts'
import { adoptableTable } from '../output/adoptable.ts'
import { timeLeft } from '../output/box.ts'
import { describeError } from '../output/report-error.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface Flags {
  readonly provider: 'hetzner'
  readonly all?: boolean
  readonly yes?: boolean
  readonly name?: string
  readonly ttl?: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('[adoptable...]', 'names or ids of boxes; none: list those that there are')
    .addOption(new Option('--provider <provider>', 'where they are').choices(['hetzner']).default('hetzner'))
    .option('--all', 'every one that there is')
    .option('-y, --yes', 'do not ask')
    .option('--name <name>', 'what the box is called here (default: as before)')
    .option('--ttl <time>', 'a new time to live, counted from now (default: its lease goes on)')
    .action(action(cli, adopt))
}

async function adopt(session: Session, refs: string[], flags: Flags): Promise<number> {
  const { provider, all, name, ttl } = flags
  if (refs.length === 0 && !all) return list(session, provider)
  if (name !== undefined && (all || refs.length !== 1)) {
    throw new GibilError('invalid_request', '--name is for one box.', { hint: 'Adopt them one by one to rename them.' })
  }
  const wish = {
    provider,
    ...(name === undefined ? {} : { name }),
    ...(ttl === undefined ? {} : { ttl: duration(ttl) }),
  }
  const targets = all ? await everyOne(session, flags) : [...new Set(refs)]
  return adoptEach(session, targets, wish)
}

async function list(session: Session, provider: 'hetzner'): Promise<number> {
  const found = await session.gibil.adoption.list({ provider, signal: session.signal })
  session.emit(found, () => (found.length === 0 ? '' : adoptableTable(found, session)))
  if (found.length === 0) {
    session.note(
      'Nothing to adopt: no other home has a box in the project of this token. Boxes of this one: gibil list\n',
    )
    return 0
  }
  session.note('  next: gibil adopt <name or id>   A home that still has one gives it up within a minute.\n')
  return 0
}

async function everyOne(session: Session, { provider, yes }: Flags): Promise<string[]> {
  const found = await session.gibil.adoption.list({ provider, signal: session.signal })
  if (found.length === 0) session.note('Nothing to adopt.\n')
  else if (!yes) await confirm(session, found)
  return found.map(({ id }) => id)
}

/** They may be somebody's who works with them. */
async function confirm(session: Session, found: readonly AdoptableBox[]): Promise<void> {
  const what = found.map(({ name, host, home }) => `${clean(name)} of ${clean(host ?? home)}`).join(', ')
  if (session.stdin.isTTY !== true || session.stderr.isTTY !== true || session.json) {
    throw new GibilError('invalid_request', `This would take from other homes: ${what}.`, {
      hint: 'Add --yes to do it.',
    })
  }
  const prompts = await import('@clack/prompts')
  const answer = await prompts.confirm({ message: `Adopt ${what}?`, initialValue: false, output: session.stderr })
  if (answer !== true) throw new GibilError('cancelled', 'Nothing was adopted.', { hint: 'Name the boxes to adopt.' })
}

type Wish = Parameters<Session['gibil']['adoption']['adopt']>[1]

/** One after the other: each asks the provider for all that there is. */
async function adoptEach(session: Session, refs: readonly string[], wish: Wish): Promise<number> {
  const { gibil, signal, colors } = session
  const boxes: Box[] = []
  const failures: { readonly ref: string; readonly error: GibilError }[] = []
  for (const ref of refs) {
    try {
      const box = await gibil.adoption.adopt(ref, wish, { signal })
      boxes.push(box)
      const name = clean(box.name)
      session.note(
        `${colors.green('✓')} ${name} is ours, ${box.status}; time left: ${timeLeft(box, Date.now())}, then ${box.lease.onExpire}\n`,
      )
      const cost = costInWords(box)
      if (cost !== undefined) session.note(`  it costs ${cost}\n`)
      session.note(`  next: gibil run ${name} -- <command>   gibil ssh ${name}   gibil extend ${name} 2h\n`)
    } catch (thrown) {
      const error = GibilError.from(thrown)
      if (refs.length === 1) throw error
      failures.push({ ref, error })
      session.note(describeError(error, session))
    }
  }
  const told = failures.map(({ ref, error }) => ({ name: ref, ...error.toBody().error }))
  session.emit(refs.length === 1 ? boxes[0] : { boxes, failures: told }, () =>
    boxes.map(({ name }) => `${clean(name)}\n`).join(''),
  )
  const [first] = failures
  return first ? errorTable[first.error.code].exit : 0
}
