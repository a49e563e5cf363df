import { type BoxHandle, GibilError, type LongCallOptions } from '@gibil/sdk'
import { window } from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { ttlWithMore, whatHappens } from '../expiry/ending.ts'
import { coarse } from '../labels/time.ts'
import { withProgress } from '../progress.ts'
import type { SnapshotNode } from '../tree/snapshots.ts'
import { ask, choose, givenUp, handleOf, nameComplaint, pickBox, type Target } from './pick.ts'
import { durationComplaint } from './questions.ts'

type Change = (box: BoxHandle, options: LongCallOptions) => Promise<unknown>

/** A verb that takes nothing but a box. */
export const change =
  (title: string, doing: string, verb: Change) =>
  async (daemon: Daemon, target: Target): Promise<void> => {
    const box = await pickBox(daemon, target, title)
    await withProgress(`${doing} ${box.name}`, (options) => verb(handleOf(daemon, box), options))
    await daemon.refresh()
  }

const hour = 3_600_000
const steps = [hour / 4, hour, 8 * hour, 24 * hour]

export async function extendBox(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Extend')
  const title = `Extend ${box.name}`
  const now = Date.now()
  const picked = await choose<string | undefined>(
    [
      ...(box.lease.expiresAt === null ? [] : steps).map((more) => ({
        label: `$(add) ${coarse(more)}`,
        value: ttlWithMore(box, more, now),
      })),
      { label: '$(edit) Another time…', value: undefined },
    ],
    { title, placeHolder: 'How much more time?' },
  )
  const prompt = 'How long does it live from now on? (90m, 7d, none)'
  const ttl = picked ?? (await ask({ title, prompt, validateInput: durationComplaint }))
  await handleOf(daemon, box).extend(ttl)
  await daemon.refresh()
}

export async function takeSnapshot(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Take Snapshot')
  const name = await askName(`Take Snapshot of ${box.name}`)
  const snapshot = await withProgress(`Saving ${box.name}`, (options) =>
    daemon.gibil.snapshots.create(box.id, name === '' ? {} : { name }, options),
  )
  await daemon.refresh()
  void window.showInformationMessage(`What ${box.name} is now is kept as ${snapshot.name}.`)
}

export async function restoreSnapshot(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Restore Snapshot')
  const snapshots = await daemon.gibil.snapshots.list({ box: box.id })
  if (snapshots.length === 0) {
    throw new GibilError('snapshot_not_found', `There are no snapshots of ${box.name}.`, {
      hint: 'Take one: Gibil: Take Snapshot…',
    })
  }
  const snapshot = await choose(
    snapshots
      .map((each) => ({
        label: each.name,
        description: `${coarse(Date.now() - Date.parse(each.createdAt))} ago`,
        value: each,
      }))
      .reverse(),
    { title: `Restore Snapshot of ${box.name}` },
  )
  await confirmed(`Put ${box.name} back to ${snapshot.name}?`, 'What it is now is lost.', 'Restore')
  await withProgress(`Restoring ${box.name}`, (options) => handleOf(daemon, box).restore(snapshot.id, options))
  await daemon.refresh()
}

/** Of a box, or of the snapshot on whose line it was called. */
export async function fork(daemon: Daemon, target: Target | SnapshotNode): Promise<void> {
  const source = target && 'snapshot' in target ? target.snapshot : await pickBox(daemon, target, 'Fork')
  const name = await askName(`Fork ${source.name}`)
  const { boxes, failures } = await withProgress(`Forking ${source.name}`, (options) =>
    daemon.gibil.fork({ from: source.id, ...(name === '' ? {} : { name }) }, options),
  )
  const [failure] = failures
  if (failure) throw GibilError.from(failure.failure)
  await daemon.refresh()
  void window.showInformationMessage(`${boxes[0]?.name} began as ${source.name} is.`)
}

export async function removeSnapshot(daemon: Daemon, node: SnapshotNode | undefined): Promise<void> {
  const snapshot =
    node?.snapshot ??
    (await choose(
      daemon.seen.snapshots.map((each) => ({ label: each.name, description: `of ${each.boxName}`, value: each })),
      { title: 'Remove Snapshot' },
    ))
  await confirmed(`Remove ${snapshot.name}?`, 'Boxes that began as it live on.', 'Remove')
  await withProgress(`Removing ${snapshot.name}`, (options) => daemon.gibil.snapshots.remove(snapshot.id, options))
  await daemon.refresh()
}

export async function destroyBox(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Destroy')
  await confirmed(`Destroy ${box.name}?`, 'Its disk and all that runs in it are lost. Its snapshots stay.', 'Destroy')
  await withProgress(`Destroying ${box.name}`, (options) => handleOf(daemon, box).destroy(options))
  await daemon.refresh()
}

/** Asks whether a box that ends soon gets more time. */
export async function askForTime(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Extend')
  const left = coarse(Date.parse(box.lease.expiresAt ?? '') - Date.now())
  const text = `${box.name} ends in ${left}; then it is ${whatHappens(box)}.`
  const picked = await window.showWarningMessage(text, 'Extend by 1 Hour', 'Other…')
  if (picked === 'Other…') await extendBox(daemon, target)
  else if (picked) await handleOf(daemon, box).extend(ttlWithMore(box, hour, Date.now()))
  if (picked) await daemon.refresh()
}

const askName = (title: string): Promise<string> =>
  ask({ title, prompt: 'What is it called?', placeHolder: 'empty: a name is made up', validateInput: nameComplaint })

async function confirmed(question: string, detail: string, verb: string): Promise<void> {
  if ((await window.showWarningMessage(question, { modal: true, detail }, verb)) !== verb) throw givenUp()
}
