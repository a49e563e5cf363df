import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type BoxExport, type Exported, formatBytes, GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { counted } from '../output/counted.ts'
import { createProgress } from '../output/progress.ts'
import { saveAs } from '../output/save-as.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { write } from '../streaming.ts'

interface Flags {
  readonly withEnv?: boolean
  readonly compress: boolean
  readonly force?: boolean
}

/** It holds whatever the box does, for whoever made it alone. */
const mode = 0o600

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id of a box that runs')
    .argument('[file]', 'where to, or - for stdout (default <box>.gibil)')
    .option('--with-env', 'with the values of its environment, which may be secrets (default: the names alone)')
    .option('--no-compress', 'a tar archive, instead of one that is compressed by zstd')
    .option('-f, --force', 'over a file that is there')
    .addHelpText(
      'after',
      '\nIts root filesystem, what it is, and a checksum: `gibil import` makes a box of them, here or on another machine. The box stands still while it is ' +
        'read, and goes on. What is left out, and the form of the file: docs/moving.md.\n\nExamples:\n' +
        '  gibil export web                                      # to web.gibil\n' +
        '  gibil export web - | ssh other gibil import -         # without a file\n',
    )
    .action(action(cli, exportVerb))
}

async function exportVerb(session: Session, ref: string, given: string | undefined, flags: Flags): Promise<void> {
  const file = given ?? `${ref.replaceAll(/[^A-Za-z0-9._-]/g, '-')}.gibil`
  if (file === '-') return toStdout(session, ref, flags)
  const path = resolve(session.cwd, file)
  if (!flags.force && (await isThere(path))) {
    throw new GibilError('file_conflict', `${file} is there already.`, { hint: 'Name another file, or add --force.' })
  }
  const progress = session.json ? undefined : createProgress(session, ref)
  try {
    const out = await open(session, ref, flags)
    const counting = { onProgress: progress?.onProgress, live: session.stderr.isTTY === true }
    const size = await saveAs(path, whole(out, counted(out.file, 'export', counting)), mode)
    const report = out.report()
    progress?.end()
    session.emit({ file: path, size, ...report }, `${clean(file)}\n`)
    session.note(`${session.colors.green('✓')} ${clean(ref)} is in ${clean(file)}, ${formatBytes(size)}\n`)
    tell(session, report)
    session.note(`  next: gibil import ${clean(file)} --name <name>\n`)
  } finally {
    progress?.end()
  }
}

async function toStdout(session: Session, ref: string, flags: Flags): Promise<void> {
  if (session.json) {
    throw new GibilError('invalid_request', '--json and the file of a box cannot both be on stdout.', {
      hint: 'Name a file.',
    })
  }
  if (session.stdout.isTTY === true) {
    throw new GibilError('invalid_request', 'The file of a box is nothing for a terminal.', {
      hint: 'Name a file, or pass it on: gibil export <box> - | ssh other gibil import -',
    })
  }
  const out = await open(session, ref, flags)
  for await (const chunk of out.file) await write(session.stdout, chunk)
  tell(session, out.report())
}

const open = (session: Session, ref: string, { withEnv, compress }: Flags): Promise<BoxExport> =>
  session.gibil.box(ref).export({ env: withEnv, plain: !compress, signal: session.signal })

/** Fails at the end unless all of it came, so that no part takes the name of the whole. */
async function* whole(out: BoxExport, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks
  out.report()
}

function tell(session: Session, { changed, changedCount, envNames }: Exported): void {
  const { colors } = session
  const warn = (text: string): void => session.note(`  ${colors.yellow('!')} ${text}\n`)
  if (changedCount > 0) {
    warn(
      `${changedCount} files changed each time they were read: what is in the file of them may be neither old nor new.`,
    )
    for (const path of changed) session.note(`    ${clean(path)}\n`)
  }
  if (envNames.length > 0)
    warn(`without the values of ${clean(envNames.join(', '))}: add --with-env, or give them to import`)
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
