import { type CreateSnapshot, Fork, type ForkBoxes, Snapshot } from '@gibil/contract'
import * as z from 'zod'
import { createBoxHandle } from './box/box.ts'
import { callWithProgress } from './connect/sse.ts'
import type { Transport } from './connect/transport.ts'
import { boxesOfFleet } from './create/fleet.ts'
import { randomName } from './create/name.ts'
import { destroyIfThere, destroyNamed, undoOnAbort } from './create/undo.ts'
import { whileBusy } from './create/while-busy.ts'
import type { LongCallOptions } from './images.ts'

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** Saved states of boxes, by name or id. */
export interface Snapshots {
  /** Saves what a box is now. Throws `box_not_found`, `wrong_state`, `unsupported_by_shape`, `name_in_use`. */
  create(box: string, input?: CreateSnapshot, options?: LongCallOptions): Promise<Snapshot>
  /** Oldest first. `box`: name or id of the box that they were taken of, which may be gone. */
  list(options?: Cancel & { readonly box?: string | undefined }): Promise<Snapshot[]>
  /** Throws `snapshot_not_found`. */
  get(ref: string, options?: Cancel): Promise<Snapshot>
  /** Boxes that began as it live on. Throws `snapshot_not_found`, `wrong_state`. */
  remove(ref: string, options?: LongCallOptions): Promise<Snapshot>
}

export function createSnapshots(transport: Transport): Snapshots {
  const path = (ref: string): string => `/snapshots/${encodeURIComponent(ref)}`
  return {
    create: (box, body = {}, options = {}) =>
      callWithProgress(transport, Snapshot, 'POST', `/boxes/${encodeURIComponent(box)}/snapshots`, {
        body,
        ...options,
      }),
    list: ({ box, signal } = {}) => transport.call(z.array(Snapshot), 'GET', '/snapshots', { query: { box }, signal }),
    get: (ref, options = {}) => transport.call(Snapshot, 'GET', path(ref), options),
    remove: (ref, options = {}) => callWithProgress(transport, Snapshot, 'DELETE', path(ref), options),
  }
}

/** Makes boxes that begin as a box or a snapshot is. When aborted, they are destroyed before this throws. */
export async function forkBoxes(transport: Transport, input: ForkBoxes, options: LongCallOptions = {}): Promise<Fork> {
  const { onProgress, signal } = options
  const name = input.name ?? randomName()
  const body: ForkBoxes = { ...input, name }
  const work = whileBusy(() => callWithProgress(transport, Fork, 'POST', '/fork', { body, onProgress }), options)
  return undoOnAbort(work, signal, async (since, made) => {
    if (!made && input.count === undefined) return destroyNamed(transport, name, since)
    const ours = made?.boxes ?? (await boxesOfFleet(transport, name, since))
    const gone = await Promise.all(ours.map(({ id }) => destroyIfThere(createBoxHandle(transport, id))))
    return gone.includes(true)
  })
}
