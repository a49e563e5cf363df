import type { Command, CommanderError } from 'commander'
import { cliVersion } from './cli-version.ts'
import type { Cli } from './context.ts'
import { topLevelHelp } from './help.ts'
import { findVerb, verbs } from './registry.ts'
import type { Verb } from './verb.ts'

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
    cli.stdout.write(topLevelHelp())
    return 0
  }
  const verb = name === undefined ? undefined : findVerb(name)
  const json = wantsJson(argv)
  try {
    const program = await createProgram(verb, cli)
    await program.parseAsync([...argv], { from: 'user' })
    return exitStatus(program)
  } catch (error) {
    if (isUsageError(error) && error.exitCode === 0) return 0
    const { reportError } = await import('./output/report-error.ts')
    const status = await reportError(usageError(error) ?? error, cli, { json, verb: verb?.name })
    return verb?.passesStatus ? ownFailure : status
  }
}

const statuses = new WeakMap<Command, number>()

/** What an action that did its work still wants to end with, such as the exit code of a command in a box. */
export function setExitStatus(command: Command, status: number): void {
  let root = command
  while (root.parent) root = root.parent
  statuses.set(root, status)
}

const exitStatus = (program: Command): number => statuses.get(program) ?? 0

/** The program with one verb defined to the last option, and of the others only the name. */
export async function createProgram(verb: Verb | undefined, cli: Cli): Promise<Command> {
  const { Command } = await import('commander')
  const program = new Command('gibil')
    .option('--home <dir>', 'home directory of the daemon (GIBIL_HOME)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => cli.stdout.write(text), writeErr: () => {} })
    .showSuggestionAfterError(true)
  for (const known of verbs) {
    const command = program.command(known.name, { hidden: known.hidden ?? false }).summary(known.summary)
    command.description(`${known.summary[0]?.toUpperCase()}${known.summary.slice(1)}.`)
    if (known.aliases) command.aliases([...known.aliases])
    command.helpOption('-h, --help', 'show this help')
    if (known === verb) (await known.load()).define(command, cli)
  }
  return program
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
