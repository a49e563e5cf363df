import { type Box, costInWords, type Fleet, GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import { readDefaults } from '../config/config.ts'
import type { Cli } from '../context.ts'
import { addCreateOptions, type CreateFlags, createOptions } from '../options/create.ts'
import { oneOf, wholeNumber } from '../options/parse.ts'
import { boxTable, stateOf, timeLeft, traceTable } from '../output/box.ts'
import { createProgress } from '../output/progress.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { ensureWorkstation } from '../workstation.ts'

export function define(command: Command, cli: Cli): void {
  addCreateOptions(withCommonOptions(command)).action(action(cli, create))
}

async function create(session: Session, flags: CreateFlags): Promise<number | undefined> {
  if (flags.branch !== undefined && flags.repo === undefined) {
    throw new GibilError('invalid_request', '--branch needs --repo.', {
      hint: 'Name the repository too: --repo . --branch main.',
    })
  }
  const count = flags.fleet === undefined ? undefined : wholeNumber(flags.fleet, 'a number of boxes', 1)
  const remedy = flags.onPartial
  if (remedy !== undefined && count === undefined) {
    throw new GibilError('invalid_request', '--on-partial needs --fleet.', { hint: 'Say how many: --fleet 5.' })
  }
  const onPartial = remedy === undefined ? {} : { onPartial: oneOf(remedy, ['keep', 'destroy'], 'a remedy') }
  const options = await createOptions(flags, await readDefaults(session), session)
  await ensureWorkstation(session, options)
  const begin = performance.now()
  const progress = session.json ? undefined : createProgress(session, options.name ?? 'box')
  const call = { onProgress: progress?.onProgress, signal: session.signal }
  try {
    if (count !== undefined) {
      const fleet = await session.gibil.fleets.create({ ...options, count, ...onPartial }, call)
      progress?.end()
      return showFleet(session, fleet, count)
    }
    const box = await session.gibil.create(options, call)
    const info = await box.info()
    progress?.end()
    showBox(session, info, performance.now() - begin, flags.trace === true)
    return undefined
  } finally {
    progress?.end()
  }
}

function showBox(session: Session, box: Box, ms: number, trace: boolean): void {
  if (trace) session.stderr.write(traceTable(box))
  const name = clean(box.name)
  session.emit(box, `${name}\n`)
  const seconds = ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
  session.note(
    `${session.colors.green('✓')} ${name} is ${stateOf(box)} after ${seconds}, time left: ${timeLeft(box, Date.now())}\n`,
  )
  if (box.chosenBecause) session.note(session.colors.dim(`  a ${box.shape}: ${clean(box.chosenBecause.join('; '))}\n`))
  const cost = costInWords(box)
  if (cost !== undefined) session.note(`  ${box.cloud?.serverType ?? 'it'} costs ${cost}\n`)
  session.note(`  next: gibil run ${name} -- <command>   gibil shell ${name}   gibil destroy ${name}\n`)
}

function showFleet(session: Session, fleet: Fleet, count: number): number | undefined {
  session.emit(fleet, () => boxTable(fleet.boxes, session))
  for (const { name, failure } of fleet.failures) {
    session.note(
      `${session.colors.red('error:')} ${clean(name)}: ${clean(failure.message)}\n  next: ${clean(failure.hint)}\n`,
    )
  }
  const made = fleet.boxes.length
  if (made < count)
    session.note(`${session.colors.yellow('!')} ${made === 0 ? 'none' : made} of ${count} boxes are there\n`)
  if (made > 0) session.note(`  next: gibil run <name> -- <command>   gibil destroy ${clean(fleet.id)}\n`)
  return fleet.failures.length > 0 ? 1 : undefined
}
