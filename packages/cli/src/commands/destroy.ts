import { type Box, GibilError, refOf } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { eachBox } from '../targets.ts'

interface Flags {
  readonly all?: boolean
  readonly yes?: boolean
  readonly ifExists?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('[box...]', 'names or ids of boxes, or ids of fleets')
    .option('--all', 'every box of this daemon')
    .option('-y, --yes', 'do not ask')
    .option('--if-exists', 'a box that is not there is no failure')
    .action(action(cli, destroy))
}

async function destroy(session: Session, refs: string[], flags: Flags): Promise<number> {
  if (refs.length === 0 && !flags.all) {
    throw new GibilError('invalid_request', 'Destroy what?', { hint: 'Name boxes or a fleet, or give --all.' })
  }
  const targets = flags.all ? await everyBox(session, flags.yes === true) : await withFleets(session, refs)
  const many = flags.all === true || targets.length !== refs.length || refs.length > 1
  return eachBox(session, targets, { done: 'destroyed', ifExists: flags.ifExists ?? flags.all, many }, (box) =>
    box.destroy(),
  )
}

/** Fleets are replaced by their boxes. */
async function withFleets(session: Session, refs: readonly string[]): Promise<string[]> {
  const boxes = await session.gibil.list({ signal: session.signal })
  const known = new Set(boxes.flatMap((box) => [box.id, refOf(box)]))
  return refs.flatMap((ref) => {
    const members = known.has(ref) ? [] : boxes.filter((box) => box.fleet === ref)
    return members.length > 0 ? members.map(({ id }) => id) : [ref]
  })
}

async function everyBox(session: Session, yes: boolean): Promise<string[]> {
  const boxes = await session.gibil.list({ signal: session.signal })
  if (boxes.length === 0) session.note('No boxes.\n')
  else if (!yes) await confirm(session, boxes)
  return boxes.map(({ id }) => id)
}

async function confirm(session: Session, boxes: readonly Box[]): Promise<void> {
  const names = boxes.map(refOf).join(', ')
  if (session.stdin.isTTY !== true || session.stderr.isTTY !== true || session.json) {
    throw new GibilError('invalid_request', `This would destroy ${count(boxes)}: ${names}.`, {
      hint: 'Add --yes to do it.',
    })
  }
  const prompts = await import('@clack/prompts')
  const message = `Destroy ${count(boxes)} (${names})?`
  const answer = await prompts.confirm({ message, initialValue: false, output: session.stderr })
  if (answer !== true)
    throw new GibilError('cancelled', 'Nothing was destroyed.', { hint: 'Name the boxes to destroy.' })
}

const count = ({ length }: readonly Box[]): string => (length === 1 ? 'one box' : `${length} boxes`)
