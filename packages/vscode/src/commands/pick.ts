import { type Box, type BoxHandle, GibilError, refOf } from '@gibil/sdk'
import { type QuickPickItem, QuickPickItemKind, type QuickPickOptions, window } from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { stateOf } from '../labels/box.ts'
import { timeLeft } from '../labels/time.ts'

/** What a command was called for: a line of a tree, or nothing when it comes from the palette. */
export type Target = { readonly box?: Box; readonly port?: number } | undefined

export const givenUp = (): GibilError => new GibilError('cancelled', 'Nothing was chosen.')

/** A choice that carries a value. */
export interface Item<T> extends QuickPickItem {
  readonly value: T
}

export const separator = (label: string): QuickPickItem => ({ label, kind: QuickPickItemKind.Separator })

/** Throws `cancelled` when nothing is chosen. */
export async function choose<T>(
  items: readonly (Item<T> | QuickPickItem)[],
  options: QuickPickOptions & { readonly title: string },
): Promise<T> {
  const picked = await window.showQuickPick(items, { ignoreFocusOut: true, ...options })
  if (picked === undefined || !('value' in picked)) throw givenUp()
  return picked.value
}

/** Throws `cancelled`. */
export async function ask(options: Parameters<typeof window.showInputBox>[0]): Promise<string> {
  const text = await window.showInputBox({ ignoreFocusOut: true, ...options })
  if (text === undefined) throw givenUp()
  return text.trim()
}

/** The box of the line that a command was called on, as it is known now; else the one that is picked. Throws `cancelled`, `box_not_found`. */
export async function pickBox(daemon: Daemon, target: Target, title: string): Promise<Box> {
  const { boxes } = daemon.seen
  if (target?.box) return boxes.find(({ id }) => id === target.box?.id) ?? target.box
  if (boxes.length === 0) {
    throw new GibilError('box_not_found', 'There are no boxes.', { hint: 'Create one: Gibil: Create Box…' })
  }
  const now = Date.now()
  return choose(
    boxes.map((box) => ({ label: refOf(box), description: `${stateOf(box)} · ${timeLeft(box, now)}`, value: box })),
    { title, placeHolder: 'Which box?' },
  )
}

/** By its id: a name may belong to another box a moment later. */
export const handleOf = (daemon: Daemon, box: Box): BoxHandle => daemon.gibil.box(box.id)

const label = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/
/** Of a name that may be left out. */
export const nameComplaint = (text: string): string | undefined =>
  text === '' || label.test(text) ? undefined : 'Small letters, digits and hyphens, beginning with a letter.'
