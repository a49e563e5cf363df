import { resolve } from 'node:path'
import { type BoxHandle, GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { saveAs } from '../output/save-as.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { write } from '../streaming.ts'

interface Flags {
  readonly patch?: string
  readonly branch?: string
  readonly path?: string
  readonly user?: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[dir]', 'directory here (default: ./<box>; with --branch the repository here)')
    .option('--patch <file>', 'write all changes since the work was sent, as a patch; - for stdout')
    .option('--branch <name>', 'fetch the commits of the box into a branch here')
    .option('--path <dir>', 'where from in the box (default: its repository, else ~/project)')
    .option('--user <user>', 'as whom to read')
    .addHelpText(
      'after',
      '\nExamples:\n  gibil pull w --patch - | git apply\n  gibil pull w --branch from-w\n  gibil pull w ./result',
    )
    .action(action(cli, pull))
}

async function pull(session: Session, ref: string, dir: string | undefined, flags: Flags): Promise<void> {
  const box = session.gibil.box(ref)
  const options = { path: flags.path, user: flags.user, signal: session.signal }
  if (flags.patch !== undefined && flags.branch !== undefined) {
    throw new GibilError('invalid_request', 'A patch and a branch are two things.', {
      hint: 'Give --patch or --branch.',
    })
  }
  if (flags.patch !== undefined) return pullPatch(session, box, flags.patch, options)
  if (flags.branch !== undefined) return pullBranch(session, box, flags.branch, dir ?? '.', options)
  return pullFiles(session, box, resolve(session.cwd, dir ?? ref), options)
}

type Options = NonNullable<Parameters<BoxHandle['pull']['files']>[1]>

async function pullPatch(session: Session, box: BoxHandle, file: string, options: Options): Promise<void> {
  const chunks = await box.pull.patch(options)
  let bytes = 0
  if (file === '-') {
    for await (const chunk of chunks) {
      bytes += chunk.byteLength
      await write(session.stdout, chunk)
    }
  } else bytes = await saveAs(resolve(session.cwd, file), chunks)
  if (file !== '-') session.emit({ file, bytes }, '')
  if (bytes === 0) session.note(`Nothing changed in ${clean(box.ref)}.\n`)
  else if (file !== '-')
    session.note(
      `${session.colors.green('✓')} ${file}, ${bytes} bytes\n  next: git apply --stat ${file}   git apply ${file}\n`,
    )
}

async function pullBranch(
  session: Session,
  box: BoxHandle,
  name: string,
  dir: string,
  options: Options,
): Promise<void> {
  const result = await box.pull.branch(name, resolve(session.cwd, dir), options)
  session.emit(result, `${result.commit}\n`)
  session.note(`${session.colors.green('✓')} ${result.branch} is at ${result.commit.slice(0, 12)}\n`)
  if (result.uncommitted) session.note(`  The box has uncommitted changes too: gibil pull ${box.ref} --patch -\n`)
  session.note(`  next: git log ..${result.branch}   git merge ${result.branch}\n`)
}

async function pullFiles(session: Session, box: BoxHandle, target: string, options: Options): Promise<void> {
  const result = await box.pull.files(target, options)
  session.emit({ target, ...result }, '')
  for (const { path, reason } of result.skipped) session.note(`left out: ${clean(path)} ${clean(reason)}\n`)
  session.note(`${session.colors.green('✓')} ${result.files} files -> ${target}\n`)
}
