import type { Box, CreateFleet, Fleet, Wait } from '@gibil/contract'
import { toFailure } from '../box/failure.ts'
import { newFleetId } from '../box/ids.ts'
import { checkName, fleetName, friendlyName } from '../box/names.ts'
import type { CreateOptions } from '../control-plane.ts'
import { createGate } from '../util/gate.ts'
import type { Place } from './admission.ts'
import type { Context } from './context.ts'
import type { Creator } from './create.ts'
import { noSuchFleet } from './ownership.ts'
import { type Settled, settle } from './settle.ts'
import { wantedOf } from './wanted-cost.ts'

interface Makers {
  readonly context: Context
  readonly creator: Creator
  readonly destroy: (id: string) => Promise<unknown>
}

/** Makes `count` boxes side by side, so many at once; those that fail are told, and the others kept, unless all or none are wanted. */
export async function createFleet(
  { context, creator, destroy }: Makers,
  input: CreateFleet,
  options: CreateOptions,
): Promise<Fleet> {
  const { deps } = context
  const { name, count, wait, onPartial = 'keep', ...rest } = input
  const base = name === undefined ? friendlyName(deps.random) : checkName(name)
  // The longest name is the one to be refused.
  fleetName(base, count)
  const id = newFleetId(deps.random)
  const { owner = null } = options
  const settled = await settle(context, rest, { owner, fleet: id })
  const wanted = await wantedOf(context, settled.draft)
  const places = await context.admission.reserveAll(owner, settled.draft.size, count, wanted)
  const names = places.map((_, index) => fleetName(base, index + 1))
  const made = await makeEach(context, creator, { settled, places, names, wait }, options)
  if (onPartial === 'keep' || made.failures.length === 0) return { id, ...made }
  // Also one whose set-up failed, which is there. What cannot be destroyed now is tried again, as any box that is to go.
  await Promise.allSettled((await context.boxes.list({ fleet: id })).map((box) => destroy(box.id)))
  return { id, boxes: [], failures: made.failures }
}

interface Several {
  readonly settled: Settled
  /** As many places as names. */
  readonly places: readonly Place[]
  readonly names: readonly string[]
  readonly wait: Wait | undefined
}

/** Makes a box in each place, side by side; those that fail are told. */
export async function makeEach(
  { policy }: Context,
  creator: Creator,
  { settled, places, names, wait }: Several,
  options: CreateOptions,
): Promise<Omit<Fleet, 'id'>> {
  const lanes = createGate(policy.maxConcurrentCreates)
  const results = await Promise.all(
    places.map((place, index) =>
      lanes.run(async () => {
        const each = names[index] ?? ''
        const onProgress = options.onProgress
        const told: CreateOptions = {
          ...options,
          ...(onProgress && names.length > 1
            ? { onProgress: (progress) => onProgress({ ...progress, phase: `${each}: ${progress.phase}` }) }
            : {}),
        }
        try {
          return { name: each, box: await creator.make(settled, place, each, wait, told) }
        } catch (error) {
          return { name: each, failure: toFailure(error) }
        }
      }),
    ),
  )
  const made: Box[] = []
  const failures: Fleet['failures'] = []
  for (const { name: each, box, failure } of results) {
    if (box) made.push(box)
    if (failure) failures.push({ name: each, failure })
  }
  return { boxes: made, failures }
}

/** The ids of the boxes of a fleet. Throws `fleet_not_found`. */
export async function fleetMembers(context: Context, fleet: string): Promise<string[]> {
  const members = await context.boxes.list({ fleet })
  if (members.length === 0) throw noSuchFleet(fleet)
  return members.map(({ id }) => id)
}
