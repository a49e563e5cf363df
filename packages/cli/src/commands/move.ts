import { formatBytes, GibilError, type MoveBox, type Moved } from '@gibil/sdk'
import { type Command, Option } from 'commander'
import type { Cli } from '../context.ts'
import { type CloudFlags, cloudOptions } from '../options/cloud.ts'
import * as parse from '../options/parse.ts'
import { createProgress, formatMs } from '../output/progress.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { ensureWorkstation } from '../workstation.ts'

const shapes = ['container', 'microvm', 'vm', 'managed']

interface Flags extends CloudFlags {
  readonly shape?: MoveBox['shape']
  readonly provider?: MoveBox['provider']
  readonly size?: MoveBox['size']
  readonly cpu?: string
  readonly memory?: string
  readonly disk?: string
  readonly yes?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .addOption(new Option('--shape <shape>', 'container, microvm, vm or managed: a workstation').choices(shapes))
    .addOption(new Option('--provider <provider>', 'local: this machine, or hetzner').choices(['local', 'hetzner']))
    .addOption(
      new Option('--size <size>', 'small 2 cpu/4 GiB, medium 4/8, large 8/16').choices(['small', 'medium', 'large']),
    )
    .option('--cpu <n>', 'cpus, such as 2 or 0.5')
    .option('--memory <amount>', 'such as 512M or 4G')
    .option('--disk <amount>', 'such as 10G; only with another shape or provider')
    .option('--server-type <name>', 'of a cloud, such as cx33 (default: the cheapest that has the size)')
    .option('--location <name>', 'of a cloud, such as fsn1 (default: any)')
    .option('--arch <arch>', 'of a cloud: x86 or arm (default x86)')
    .option('--max-hourly <amount>', 'take nothing of a cloud that costs more per hour, such as 0.05')
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      '\nFiles, name, id, environment, labels, lease and published ports go along; processes do not: they are ended. The old box is kept until the new one ' +
        'answers, so that one which cannot be made leaves everything as it was. What of a root filesystem is not carried over: docs/moving.md.',
    )
    .action(action(cli, move))
}

async function move(session: Session, ref: string, flags: Flags): Promise<void> {
  const { shape, provider, size, cpu, memory, disk } = flags
  const { cloud } = await cloudOptions(flags, session)
  const wish: MoveBox = {
    ...(shape === undefined ? {} : { shape }),
    ...(provider === undefined ? {} : { provider }),
    ...(size === undefined ? {} : { size }),
    ...(cpu === undefined ? {} : { cpu: parse.cpus(cpu) }),
    ...(memory === undefined ? {} : { memoryMib: parse.mebibytes(memory) }),
    ...(disk === undefined ? {} : { diskMib: parse.mebibytes(disk) }),
    ...(cloud === undefined ? {} : { cloud }),
  }
  if (Object.keys(wish).length === 0) {
    throw new GibilError('invalid_request', 'Move it to what?', { hint: 'Give --shape, --provider or --size.' })
  }
  if (!flags.yes) await confirm(session, ref)
  if (shape === 'managed') {
    await ensureWorkstation(session, { shape, provider: provider ?? (await session.gibil.box(ref).info()).provider })
  }
  const progress = session.json ? undefined : createProgress(session, ref)
  try {
    const moved = await session.gibil.box(ref).move(wish, { onProgress: progress?.onProgress, signal: session.signal })
    progress?.end()
    session.emit(moved, `${clean(moved.box.name)}\n`)
    tell(session, moved)
  } catch (error) {
    if (session.signal.aborted) throw goesOn(ref, error)
    throw error
  } finally {
    progress?.end()
  }
}

/** Whoever leaves ends the waiting alone. */
const goesOn = (ref: string, cause: unknown): GibilError =>
  new GibilError('cancelled', `The move of ${clean(ref)} was begun, and goes on without you.`, {
    hint: `See what it has become: gibil show ${clean(ref)}`,
    cause,
  })

function tell(session: Session, { box, bytes, silentMs, changed, notes }: Moved): void {
  const { colors } = session
  const what = box.provider === 'local' ? box.shape : `${box.shape} of ${box.provider}`
  const carried = bytes === 0 ? '' : `, ${formatBytes(bytes)} carried over`
  session.note(
    `${colors.green('✓')} ${clean(box.name)} is a ${what}${carried}; it answered nobody for ${formatMs(silentMs)}\n`,
  )
  for (const note of notes) session.note(`  ${colors.yellow('!')} ${clean(note)}\n`)
  for (const path of changed) session.note(`    ${clean(path)}\n`)
}

async function confirm(session: Session, ref: string): Promise<void> {
  const what = `What runs in ${clean(ref)} will be ended: files go along, processes do not.`
  if (session.stdin.isTTY !== true || session.stderr.isTTY !== true || session.json) {
    throw new GibilError('invalid_request', what, { hint: 'Add --yes to do it.' })
  }
  const prompts = await import('@clack/prompts')
  const answer = await prompts.confirm({ message: `${what} Move it?`, initialValue: false, output: session.stderr })
  if (answer !== true) throw new GibilError('cancelled', 'Nothing was moved.', { hint: 'The box is as it was.' })
}
