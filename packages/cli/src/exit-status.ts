import type { Command } from 'commander'

const statuses = new WeakMap<Command, number>()

function rootOf(command: Command): Command {
  let root = command
  while (root.parent) root = root.parent
  return root
}

/** What an action that did its work still wants to end with, such as the exit code of a command in a box. */
export const setExitStatus = (command: Command, status: number): void => void statuses.set(rootOf(command), status)

export const exitStatusOf = (program: Command): number => statuses.get(rootOf(program)) ?? 0
