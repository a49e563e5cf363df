import { Gibil, gibilHome } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from './context.ts'
import { setExitStatus } from './exit-status.ts'

/** What the action of a verb works with: the daemon, and ways to say something. */
export interface Session extends Cli {
  readonly gibil: Gibil
  readonly home: string
  readonly json: boolean
  /** Whether `--` came before the last arguments, so that they are a program with its arguments, whatever they look like. */
  readonly afterDashes: boolean
  /** Data, on stdout: JSON with `--json`, else the text. */
  emit(data: unknown, text: string | (() => string)): void
  /** Something for a person, on stderr; not with `--json`. */
  note(text: string): void
}

/** Adds the options that every verb has. */
export const withCommonOptions = (command: Command): Command =>
  command.option('--json', 'print JSON on stdout').option('--home <dir>', 'home directory of the daemon (GIBIL_HOME)')

/**
 * Wraps the work of a verb as a commander action: it gets a session and its own arguments and options, connections are let
 * go of at the end, and a number that it returns becomes the exit status.
 */
export function action<Args extends unknown[]>(
  cli: Cli,
  work: (session: Session, ...args: Args) => Promise<unknown>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command
    const args = given.slice(0, -1) as Args
    const { home: homeOption, json } = command.optsWithGlobals<{ home?: string; json?: boolean }>()
    const connection = { home: homeOption, env: cli.env }
    await using gibil = Gibil.connect(connection)
    const session: Session = {
      ...cli,
      gibil,
      home: gibilHome(connection),
      json: json === true,
      afterDashes: cli.argv.includes('--'),
      emit(data, text) {
        cli.stdout.write(json ? `${JSON.stringify(data, null, 2)}\n` : typeof text === 'string' ? text : text())
      },
      note(text) {
        if (!json) cli.stderr.write(text)
      },
    }
    const status = await work(session, ...args)
    if (typeof status === 'number') setExitStatus(command, status)
  }
}
