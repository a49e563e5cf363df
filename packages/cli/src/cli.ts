import type { CommanderError } from 'commander'
import { cliVersion } from './cli-version.ts'
import type { Cli } from './context.ts'
import { exitStatusOf } from './exit-status.ts'
import { topLevelHelp } from './help.ts'
import { createProgram, findVerb } from './program.ts'
import { verbs } from './registry.ts'

const ownFailure = 125
const wrongInput = 2

/** Runs one command line and answers with the exit status. Never throws. */
export async function runCli(cli: Cli): Promise<number> {
  const { argv } = cli
  const name = verbOf(argv)
  if (argv.includes('--version') && name === undefined) {
    cli.stdout.write(`gibil ${cliVersion()}\n`)
    return 0
  }
  if (name === undefined && !argv.some((word) => word.startsWith('-') && !isHelp(word) && !word.startsWith('--home'))) {
    cli.stdout.write(topLevelHelp(verbs))
    return 0
  }
  const verb = name === undefined ? undefined : findVerb(verbs, name)
  const json = wantsJson(argv)
  try {
    const program = await createProgram(verbs, verb, cli)
    await program.parseAsync([...argv], { from: 'user' })
    return exitStatusOf(program)
  } catch (error) {
    if (isUsageError(error) && error.exitCode === 0) return 0
    // Nobody reads any more: there is nothing to say, and nobody to say it to.
    if (isBrokenPipe(cli.signal.reason)) return ownFailure
    const { reportError } = await import('./output/report-error.ts')
    const status = await reportError(usageError(error) ?? error, cli, { json, verb: verb?.name })
    return verb?.passesStatus ? ownFailure : status
  }
}

const isHelp = (word: string): boolean => word === '--help' || word === '-h' || word === 'help'

/** The first word that is no option of the program itself. */
function verbOf(argv: readonly string[]): string | undefined {
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? ''
    if (word === '--home') at += 1
    else if (word === '--') return undefined
    else if (!word.startsWith('-') && !isHelp(word)) return word
  }
  return undefined
}

/** Whether errors are to be JSON, known before the command line could be read. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json')
}

const isBrokenPipe = (reason: unknown): boolean =>
  reason instanceof Error && 'code' in reason && reason.code === 'EPIPE'

const isUsageError = (error: unknown): error is CommanderError =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('commander.')

/** A complaint of the argument parser as an error like every other. */
function usageError(error: unknown): Error | undefined {
  if (!isUsageError(error)) return undefined
  const text = error.message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .trim()
  return Object.assign(new Error(`${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?)]$/.test(text) ? '' : '.'}`), {
    name: 'UsageError',
    exitCode: wrongInput,
  })
}
