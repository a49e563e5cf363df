import { GibilError, type Progress } from '@gibil/contract'
import type { BoxPlane, StepsBuild } from '@gibil/core'
import type { DoorDeps } from '../deps.ts'
import type { BuildLog, BuildLogs } from './build-log.ts'
import { startIn } from './start.ts'
import { type Credentials, failureOf, freshFrom, type StartBuild, stepsOf, wordsOf } from './steps.ts'
import { imageName, snapshotName } from './sweep.ts'
import { type Build, changeBuild, type Gone, type Reason, type Template, trimmed, withTags } from './template.ts'
import type { TemplateStore } from './template-store.ts'
import type { Uploads } from './uploads.ts'

export interface BuilderParts
  extends Pick<DoorDeps, 'boxd' | 'images' | 'imageNames' | 'control' | 'settings' | 'stopping' | 'log'> {
  readonly store: TemplateStore
  readonly logs: BuildLogs
  readonly uploads: Uploads
}

/** What a build begins with, once it is clear what the caller means and may have. */
export interface Base {
  readonly reference: string
  /** One of E2B's own templates, whose image is made on this machine and in no registry. */
  readonly known?: string
  readonly credentials?: Credentials | undefined
  readonly beginAs?: StepsBuild['beginAs']
  readonly user: string
  /** What is done in a box of it, unless the template says something of its own. */
  readonly start?: Pick<Build, 'startCmd' | 'readyCmd'> | undefined
}

/** Builds at once on this machine; the others wait for their turn. */
const atOnce = 2
const checkTtl = '15m'

/** Runs builds beside the calls, each to its end whether anybody asks or not. */
export function createBuilder(
  parts: BuilderParts,
): (template: Template, build: Build, input: StartBuild, base: Base) => void {
  const { images, store, logs, uploads, control, boxd, settings, stopping, log } = parts
  const turns = createTurns(atOnce)

  /** Tries the commands of the template in a box that nobody sees. Answers the snapshot of it, where that has its memory. */
  const tryStart = async (
    plane: BoxPlane,
    build: Build,
    image: string,
    signal: AbortSignal,
  ): Promise<string | null> => {
    const box = await plane.create(
      {
        ...boxOf(build, image),
        shape: settings.shape,
        ttl: checkTtl,
        labels: { 'e2b-build': build.id },
        wait: 'ready',
      },
      { signal },
    )
    try {
      await startIn((one) => boxd(box.id, one, { quiet: true }), build, { E2B_SANDBOX: 'true' }, signal)
      return box.shape === 'microvm' ? (await plane.snapshot(box.id, { name: snapshotName(build.id) })).id : null
    } finally {
      await plane.destroy(box.id)
    }
  }

  const finish = async (template: Template, build: Build): Promise<void> => {
    const now = new Date().toISOString()
    let gone: Gone = { made: [], builds: [] }
    await store.change(template.id, (current) => {
      const changed = changeBuild(current, build.id, { ...build, finishedAt: now })
      const tagged = build.status === 'ready' ? withTags(changed, build.wantedTags, build.id, now) : changed
      const { template: next, ...rest } = trimmed(tagged)
      gone = rest
      return next
    })
    await forgetBuilds(parts, template, gone)
  }

  const run = async (template: Template, build: Build, input: StartBuild, base: Base, own: BuildLog): Promise<void> => {
    const signal = stopping
    const image = imageName(template.id, build.id)
    const told = new Set<string>()
    const onProgress = ({ phase, message }: Progress): void => {
      if (/^(base|\d+)$/.test(phase) && !told.has(phase)) {
        told.add(phase)
        const step = (input.steps ?? [])[Number(phase) - 1]
        own.add(
          'info',
          step ? `[${phase}] ${wordsOf(step)}` : `[base] FROM ${input.fromTemplate ?? input.fromImage}`,
          phase,
        )
      }
      if (message !== undefined) own.add('info', message, /^\d+$/.test(phase) ? phase : 'base')
    }
    const steps: StepsBuild = {
      name: image,
      base: { reference: base.reference, ...base.credentials },
      beginAs: base.beginAs,
      steps: stepsOf(input, (hash) => uploads.pathOf(template.id, hash)),
      freshFrom: freshFrom(input),
    }
    const made = await images.buildSteps(steps, { signal, onProgress })
    const built: Build = {
      ...build,
      status: 'ready',
      image,
      user: lastUser(input) ?? base.user,
      workdir: made.workdir,
      startCmd: input.startCmd || (base.start?.startCmd ?? null),
      readyCmd: input.readyCmd || (base.start?.readyCmd ?? null),
    }
    const { startCmd, readyCmd } = built
    try {
      let snapshot: string | null = null
      if (startCmd !== null || readyCmd !== null) {
        own.add('info', `[finalize] ${startCmd ?? ''}, until: ${readyCmd ?? 'at once'}`, 'finalize')
        snapshot = await tryStart(control().as(template.owner), built, image, signal)
      }
      own.add('info', 'Build finished.', 'finalize')
      await own.end()
      await finish(template, { ...built, snapshot })
      await keepUploads(parts, template, input)
    } catch (error) {
      await images.remove(image, { whileUsed: true }).catch(() => undefined)
      throw error
    }
  }

  return (template, build, input, base) => {
    const own = logs.begin(template.id, build.id)
    const work = async (): Promise<void> => {
      try {
        await run(template, build, input, base, own)
      } catch (error) {
        // At the end of the daemon, or of the door, the next one says so.
        if (stopping.aborted) return
        const reason = reasonOf(GibilError.from(error), input)
        own.add('error', reason.message, reason.step)
        await own.end()
        await finish(template, { ...build, status: 'error', reason })
      }
    }
    turns(work).catch((error) => log.error({ err: error, template: template.id }, 'a build of a template was lost'))
  }
}

/** What boxes of a build are made of. */
export const boxOf = ({ cpuCount, memoryMB, user }: Build, image: string) => ({
  image,
  user,
  cpu: cpuCount,
  memoryMib: memoryMB,
})

/** Removes what is kept of builds that are not needed any more. */
export async function forgetBuilds(
  { images, logs, log, control }: Pick<BuilderParts, 'images' | 'logs' | 'log' | 'control'>,
  { id, owner }: Pick<Template, 'id' | 'owner'>,
  gone: Gone,
): Promise<void> {
  const remove = async (what: Promise<unknown>): Promise<void> => {
    await what.catch((error) => {
      const isGone = GibilError.is(error) && (error.code === 'image_not_found' || error.code === 'snapshot_not_found')
      if (!isGone) log.warn({ err: error, template: id }, 'what a template was made of could not be removed')
    })
  }
  for (const { image, snapshot } of gone.made) {
    if (snapshot !== null) await remove(control().as(owner).removeSnapshot(snapshot))
    if (image !== null) await remove(images.remove(image, { whileUsed: true }))
  }
  for (const build of gone.builds) await logs.remove(id, build)
}

/** What the last build did not use goes, unless another build of the template may be about to use it. */
async function keepUploads(
  { store, uploads }: BuilderParts,
  { id, owner }: Template,
  input: StartBuild,
): Promise<void> {
  const isBusy = store.find(owner, id)?.builds.some(({ status }) => status === 'building' || status === 'waiting')
  if (!isBusy) await uploads.keep(id, new Set((input.steps ?? []).flatMap(({ filesHash }) => filesHash ?? [])))
}

const lastUser = ({ steps }: StartBuild): string | undefined =>
  (steps ?? []).findLast(({ type }) => type === 'USER')?.args?.[0]

function reasonOf(error: GibilError, input: StartBuild): Reason {
  const step = error.details?.['step']
  if (typeof step === 'string') {
    const own = (input.steps ?? [])[Number(step) - 1]
    return { message: failureOf(own, error.cause), step }
  }
  const log = error.details?.['log']
  const tail = typeof log === 'string' && log !== '' ? `\n${log.slice(-2000)}` : ''
  return { message: `${error.message}${tail}`, step: 'finalize' }
}

/** Runs so many at once, the others in the order in which they came. */
function createTurns(most: number): (work: () => Promise<void>) => Promise<void> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
