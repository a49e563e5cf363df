import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { type Copied, copyIn, copyOut, parsePlace } from '../copy.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<from>', 'box:path, a path here, or - for stdin')
    .argument('<to>', 'box:path, a path here, or - for stdout')
    .option('--user <user>', 'owner of what is written in the box')
    .addHelpText(
      'after',
      '\nExamples:\n  gibil cp w:~/project/dist ./dist\n  gibil cp ./data/. w:/srv/data\n  gibil cp w:/etc/os-release -\n\nNothing that a box sends is written outside of the target, and no symlink is followed; but look at what came before you run it.',
    )
    .action(action(cli, cp))
}

async function cp(session: Session, fromText: string, toText: string, flags: { user?: string }): Promise<void> {
  const from = parsePlace(fromText)
  const to = parsePlace(toText)
  if (from.kind === 'box' && to.kind === 'box') {
    throw new GibilError('invalid_request', 'One end of a copy is this machine.', {
      hint: `From box to box: gibil cp ${fromText} - | gibil cp - ${toText}`,
    })
  }
  if (from.kind === 'box') {
    const target = to.kind === 'local' ? to.path : undefined
    return report(session, await copyOut(session, session.gibil.box(from.box).files, from.path, target))
  }
  if (to.kind === 'box') {
    const source = from.kind === 'local' ? from.path : undefined
    return report(session, await copyIn(session, source, session.gibil.box(to.box).files, to.path, flags.user))
  }
  throw new GibilError('invalid_request', 'Neither end of the copy is in a box.', {
    hint: 'Write one as <box>:<path>.',
  })
}

function report(session: Session, copied: Copied): void {
  // With `-` the data itself is on stdout.
  if (copied.to !== '-') session.emit(copied, '')
  for (const { path, reason } of copied.skipped) session.note(`left out: ${clean(path)} ${clean(reason)}\n`)
  if (copied.to !== '-') session.note(`${session.colors.green('✓')} ${clean(copied.from)} -> ${clean(copied.to)}\n`)
}
