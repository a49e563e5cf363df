import { GibilError, type SnapshotKind } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { Driver } from '../ports/driver.ts'
import type { Saved, SnapshotRecord } from '../snapshot-record.ts'

const lives = ({ status }: BoxRecord): boolean => status === 'running' || status === 'paused'

/** Throws `wrong_state` for a box that has no state of its own yet, or not for long. */
export function checkHasState(record: BoxRecord, what: string, settingUp: boolean): void {
  const { name, status, readiness, desired } = record
  const refuse = (is: string, hint: string): never => {
    throw new GibilError('wrong_state', `The box "${name}" is ${is} and cannot be ${what}.`, {
      hint,
      details: { status, readiness, name },
    })
  }
  if (desired === 'gone') refuse('being removed', 'Fork a snapshot instead: `gibil snapshots`.')
  if (status === 'creating') refuse(status, 'Wait until it runs: `gibil list` shows it.')
  if (status === 'failed' && what !== 'restored') {
    refuse(status, `Try \`gibil start ${name}\`, or restore an earlier snapshot.`)
  }
  // What set-up has begun cannot be taken up by another box, nor by this one at another time.
  if (settingUp) refuse(`being set up (${readiness})`, 'Wait until it is ready, or stop it.')
}

/** What a snapshot of a box saves. Throws `unsupported_by_shape`, `wrong_state`. */
export function kindOf(driver: Driver, record: BoxRecord, asked: SnapshotKind | undefined): SnapshotKind {
  const canMemory = driver.capabilities.has('memory-snapshot')
  if (asked !== 'disk+memory') return asked ?? (canMemory && lives(record) ? 'disk+memory' : 'disk')
  if (!canMemory) {
    throw new GibilError('unsupported_by_shape', `The memory of a box of shape ${record.shape} cannot be saved.`, {
      hint: 'Save its disk alone (--disk-only), or use a box of the shape microvm.',
    })
  }
  if (lives(record)) return asked
  throw new GibilError('wrong_state', `The box "${record.name}" is ${record.status}, so it has no memory to save.`, {
    hint: `Start it first: \`gibil start ${record.name}\`, or save its disk alone: --disk-only.`,
  })
}

/** How a box is made must be how the snapshot's was: a disk fits the image that it lies over, and memory the machine. */
const makingOf = (made: Saved | BoxRecord): string => {
  const { shape, provider, imageDigest, size, isolation } = made
  return JSON.stringify([shape, provider, imageDigest, size.cpu, size.memoryMib, size.diskMib, isolation])
}

/** Throws `wrong_state` for a snapshot of a box that was made in another way. */
export function checkFitsBox(record: BoxRecord, snapshot: SnapshotRecord): void {
  if (makingOf(record) === makingOf(snapshot.saved)) return
  throw new GibilError(
    'wrong_state',
    `The snapshot "${snapshot.name}" is of a box with another shape, image or size than "${record.name}" has.`,
    { hint: `Make a box of it instead: \`gibil fork ${snapshot.name}\`.` },
  )
}

export function savedOf(record: BoxRecord): Saved {
  const { shape, provider, image, imageDigest, size, isolation, network, user, env, labels } = record
  const { ports, repo, explicit, config, remakes, tasksDone, readiness, failure } = record
  const { onFailure, egress, volumes, hooked, hookEnv = {} } = record
  const made = { shape, provider, image, imageDigest, size, isolation, network, user, env, labels }
  const state = { ports, repo, explicit, config, remakes, tasksDone, readiness, failure }
  const maybe = {
    ...(onFailure === undefined ? {} : { onFailure }),
    ...(egress === undefined ? {} : { egress }),
    ...(volumes === undefined ? {} : { volumes }),
  }
  return { ...made, ...state, ...maybe, ...(hooked === undefined ? {} : { hooked, hookEnv }) }
}
