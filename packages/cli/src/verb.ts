import type { Command } from 'commander'
import type { Cli } from './context.ts'

/**
 * One verb. Its module in `commands/` is loaded only when the verb is used, and exports `define`, which adds arguments,
 * options and the action to a command that has its name and summary already.
 */
interface VerbModule {
  /** `verbs` are all of them, for the one that completes words. */
  define(command: Command, cli: Cli, verbs: readonly Verb[]): void
}

export interface Verb {
  readonly name: string
  readonly summary: string
  readonly group:
    | 'Start'
    | 'Boxes'
    | 'Snapshots'
    | 'Work in a box'
    | 'Sessions'
    | 'Move work'
    | 'Images'
    | 'Daemon'
    | 'Set up'
  readonly aliases?: readonly string[]
  /** Its own failures end with 125, since every other status may come from the command in the box. */
  readonly passesStatus?: boolean
  readonly hidden?: boolean
  load(): Promise<VerbModule>
}
