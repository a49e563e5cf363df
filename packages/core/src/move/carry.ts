import type { Readable } from 'node:stream'
import { GibilError, type Progress, type TreeReport } from '@gibil/contract'
import { closed, withCloud } from '../box/charges.ts'
import { readinessAfterStart } from '../box/readiness.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from '../plane/context.ts'
import { resolveImage } from '../plane/images.ts'
import { deadlineOfSpec, toSpec } from '../plane/spec.ts'
import { configureBox } from '../plane/steps.ts'
import type { BoxdPort, TreeSurvey } from '../ports/boxd.ts'
import type { Driver, DriverBox, DriverOptions, FillDisk, LayTree, ResolvedImage } from '../ports/driver.ts'
import { checkTree } from './check-tree.ts'
import { clearOtherPlace } from './clear.ts'
import { dockerData, type Plan } from './plan.ts'

export interface Carried {
  readonly bytes: number
  readonly silentMs: number
  readonly changed: readonly string[]
  readonly notes: readonly string[]
}

interface Arrived {
  readonly box: DriverBox
  readonly image: ResolvedImage
  readonly report: TreeReport
}

/**
 * Carries a box to another place while no step is under way for it. Until its record names the new place the box is what it was, and whatever was made
 * there goes; from then on it is the new one, and what is left in the old place goes. A daemon that is killed leaves in the record which place that is.
 */
export async function carry(
  context: Context,
  record: BoxRecord,
  plan: Plan,
  signal: AbortSignal,
  tell: (progress: Progress) => void,
): Promise<Carried> {
  const { boxes, deps, drivers } = context
  const { clock } = deps
  const step = deps.step ?? (() => undefined)
  const { to } = plan
  const { id } = record
  const becoming = { ...to, ...plan.changes, from: null, cloudInit: undefined }
  const next: BoxRecord = { ...record, ...becoming }
  const source = context.boxd.of(record, signal)
  let goOn: (() => void) | undefined
  let stillSince = 0

  const timed = async <T>(phase: string, work: () => Promise<T>): Promise<T> => {
    tell({ phase })
    const begin = clock.now()
    const result = await work()
    tell({ phase, ms: clock.now() - begin })
    return result
  }
  const options: DriverOptions = {
    signal,
    trace: (phase, ms) => tell({ phase, ms }),
    onLine: (message) => tell({ phase: 'boot', message: message.slice(0, 500) }),
    onNotice: (message) => tell({ phase: 'boot', message, notice: true }),
  }
  const standStill = async (): Promise<void> => {
    stillSince = clock.now()
    await boxes.update(id, ({ moving }) => (moving ? { moving: { ...moving, goesOn: false } } : undefined))
    goOn = await timed('still', () => source.standStill())
    await step('move.still')
  }
  const made = async (box: DriverBox): Promise<DriverBox> => {
    signal.throwIfAborted()
    await step('move.made')
    return box
  }
  const make = async (image: ResolvedImage): Promise<DriverBox> =>
    made(await timed('make', () => drivers.for(to).create(toSpec(next, image), options)))

  /** The box stands still only for the second of two streams, or for the whole tree where it cannot be had in two. */
  const inTwo = async (
    exclude: readonly string[],
    survey: TreeSurvey,
    lay: LayTree,
    ready: () => Promise<void> = async () => undefined,
  ): Promise<TreeReport> => {
    const first = await firstStream(source, record, exclude, survey)
    if (first) {
      await timed('copy', () => lay(first))
      await step('move.first')
    }
    await ready()
    await standStill()
    const rest = await (first ? source.readTreeRest() : source.readTree(exclude))
    const report = await timed(first ? 'rest' : 'copy', () => lay(rest))
    await step('move.copied')
    return report
  }

  /** The tree goes straight to the disk of the new one, whose machine boots meanwhile. */
  const toDisk = async (driver: WithFill, survey: TreeSurvey): Promise<Arrived> => {
    const image = await deps.images.resolve(to.imageDigest)
    let report: TreeReport | undefined
    const fill: FillDisk = async (lay, ready) => {
      report = await inTwo(dockerData, survey, lay, ready)
    }
    const box = await made(await driver.createFilled(toSpec(next, image), fill, options))
    if (!report) throw new GibilError('internal', 'A driver made a box without filling its disk.')
    return { box, image, report }
  }

  /** The tree is the image that the new one is made of. */
  const asImage = async (): Promise<Arrived> => {
    await standStill()
    const of = record.provider === 'local' ? record.imageDigest : null
    const tar = await source.readTree(dockerData)
    const saved = await timed('copy', () =>
      deps.images.saveTree({ name: null, source: `box ${record.name}`, of, tar }, { signal, onProgress: tell }),
    )
    const { digest } = saved.image
    await boxes.update(id, ({ moving }) => (moving ? { moving: { ...moving, imageDigest: digest } } : undefined))
    await step('move.copied')
    const image = await deps.images.resolve(digest)
    return { box: await make(image), image, report: saved.report }
  }

  /** A machine with a system of its own is there first, so that the box stands still only while its tree goes over. */
  const overSystem = async (survey: TreeSurvey): Promise<Arrived> => {
    const image = await resolveImage(deps.images, to.provider, to.imageDigest)
    const box = await make(image)
    const target = context.boxd.of({ ...next, startedAt: clock.now() }, signal)
    return { box, image, report: await inTwo([], survey, (tar) => target.layTree(tar)) }
  }

  await boxes.update(id, ({ desired }) =>
    desired === 'gone'
      ? undefined
      : { moving: { other: placeOf(to), imageDigest: null, arrived: false, goesOn: true } },
  )
  try {
    await step('move.noted')
    const survey = await timed('look', () => source.surveyTree(plan.ownSystem ? [] : dockerData))
    checkTree(survey, to, record, 'The box is as it was.')
    const driver = drivers.for(to)
    // What says of environment and user is an image of the old place, which the new one has to know.
    const { box, image, report } = await (plan.ownSystem
      ? overSystem(survey)
      : record.provider === 'local' && hasFill(driver)
        ? toDisk(driver, survey)
        : asImage())
    await timed('boxd', () => configureBox(context.boxd.of({ ...next, startedAt: clock.now() }, signal), next, image))
    signal.throwIfAborted()
    await step('move.answers')
    const now = clock.now()
    const after = await boxes.update(
      id,
      (latest) => {
        if (latest.desired === 'gone') return undefined
        // What the machine that it leaves has cost is over; what that of its new place costs begins.
        const charges = latest.charges === undefined ? {} : { charges: closed(latest.charges, now) }
        return {
          ...becoming,
          imageDigest: image.digest,
          moving: { other: placeOf(record), imageDigest: null, arrived: true },
          status: 'running',
          address: box.address,
          startedAt: now,
          lastActiveAt: now,
          unresponsiveSince: null,
          restart: null,
          parent: null,
          readiness: readinessAfterStart(latest),
          cloud: undefined,
          deadlineTold: drivers.for(to).setDeadline ? deadlineOfSpec(next) : undefined,
          ...charges,
          ...withCloud(charges, box.cloud, now),
        }
      },
      { reason: 'moved' },
    )
    if (after?.moving?.arrived !== true) {
      throw new GibilError('wrong_state', `The box "${record.name}" was destroyed meanwhile.`)
    }
    const silentMs = clock.now() - stillSince
    await step('move.became')
    await context.events.append('box.moved', after, { from: placeOf(record), to: placeOf(to) })
    return { bytes: survey.bytes, silentMs, ...told(report, plan) }
  } finally {
    goOn?.()
    await clearOtherPlace(context, id).catch((error) => {
      // The record still says so, and the reconciler tries again.
      deps.log.warn({ box: id, err: error }, 'what a move left in the other place could not be removed yet')
    })
  }
}

type WithFill = Driver & Required<Pick<Driver, 'createFilled'>>

const hasFill = (driver: Driver): driver is WithFill => driver.createFilled !== undefined

/** What boxd remembers of a tree between two streams takes some hundred bytes of the box for each. */
const mostRemembered = 500_000

/** gVisor tells no change of a file that is written by memory. */
async function firstStream(
  source: BoxdPort,
  { isolation }: BoxRecord,
  exclude: readonly string[],
  { entries }: TreeSurvey,
): Promise<Readable | undefined> {
  if (isolation === 'gvisor' || entries > mostRemembered) return undefined
  try {
    return await source.readTreeFirst(exclude)
  } catch (error) {
    // One that was started by an older daemon.
    if (GibilError.is(error) && error.code === 'boxd_protocol') return undefined
    throw error
  }
}

const placeOf = ({ shape, provider }: Pick<BoxRecord, 'shape' | 'provider'>) => ({ shape, provider })

function told(report: TreeReport, { notes }: Plan): Pick<Carried, 'changed' | 'notes'> {
  const { changed, changedCount } = report
  const torn =
    changedCount === 0
      ? []
      : [
          `${changedCount} files changed each time they were read: what was carried over of them may be neither old nor new.`,
        ]
  return { changed, notes: [...notes, ...torn] }
}
