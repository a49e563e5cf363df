import { GibilError } from '@gibil/contract'
import type { ImageStep, StepsBuild } from '@gibil/core'
import { pathIn } from '../dockerfile/configure.ts'
import { copySources, makeFolders } from '../dockerfile/copy.ts'
import { createLayering, type Layering } from '../dockerfile/layering.ts'
import { changeStage, readStage } from '../dockerfile/read-stage.ts'
import { runCommand } from '../dockerfile/run-step.ts'
import { hashSources } from '../dockerfile/sources.ts'
import { lookupIn, type Stage } from '../dockerfile/stage.ts'
import { expandText, SyntaxProblem } from '../dockerfile/words.ts'
import type { ImageConfig, ImageManifest } from '../manifest.ts'
import type { Operation } from '../operation.ts'
import { pullLayers } from '../pull-image.ts'
import { identify, readUsers } from '../users.ts'
import { openArchive, sourcesIn } from './archive.ts'
import { prepareScript } from './prepare.ts'

interface Steps {
  readonly operation: Operation
  readonly layering: Layering
  readonly say: (line: string) => void
}

const withConfig = (stage: Stage, change: Partial<ImageConfig>): Stage => ({
  ...stage,
  config: { ...stage.config, ...change },
})

/** Runs a command as somebody, where and with what the stage says; the stage stays as it is but for its layers. */
const run = async (
  { operation, layering, say }: Steps,
  stage: Stage,
  argv: readonly string[],
  user: string,
): Promise<Stage> => {
  const name = user.split(':')[0] ?? user
  const env = { USER: name, LOGNAME: name, ...stage.config.env }
  const as = withConfig(stage, { user, env })
  const { layers } = await runCommand({ operation, layer: layering.layer, say }, as, {
    argv,
    script: null,
    scratch: [],
    offline: false,
    failure: (exitCode, tail) =>
      new GibilError('command_failed', `exit status ${exitCode}`, { details: { exitCode, log: tail } }),
  })
  return { ...stage, layers }
}

const ownerIn = (steps: Steps, stage: Stage, folder: string, user: string) =>
  readStage(steps, stage, folder, async (merged) => identify(await readUsers(merged), user))

const copy = async (steps: Steps, stage: Stage, step: Extract<ImageStep, { kind: 'copy' }>): Promise<Stage> => {
  const { operation, layering } = steps
  const folder = await layering.newFolder()
  const tree = await openArchive(operation, step.archive, folder)
  const sources = await sourcesIn(tree, step.source)
  if (sources.length === 0) throw new SyntaxProblem(`no file matches ${JSON.stringify(step.source)}`)
  const several = sources.length > 1
  const target = pathIn(stage, step.target === '.' || step.target.endsWith('/.') ? `${step.target}/` : step.target)
  const user = step.user ?? stage.config.user ?? 'root'
  const mode = step.mode ?? null
  const key = ['copy', target, several, user, mode, await hashSources(tree, sources)]
  return layering.layer(stage, key, async (place) => {
    const owner = await ownerIn(steps, stage, place, user)
    const full = several ? `${target.replace(/\/$/, '')}/` : target
    return changeStage(steps, stage, place, (merged) =>
      copySources(tree, sources, { merged, target: full, owner, mode, signal: operation.signal }),
    )
  })
}

const workdir = async (steps: Steps, stage: Stage, path: string): Promise<Stage> => {
  const full = pathIn(stage, expandText(path, lookupIn(stage))).replace(/(?<=.)\/$/, '')
  const user = stage.config.user ?? 'root'
  const next = await steps.layering.layer(stage, ['workdir', full, user], async (place) => {
    const owner = await ownerIn(steps, stage, place, user)
    return changeStage(steps, stage, place, (merged) => makeFolders(merged, full, owner))
  })
  return withConfig(next, { workdir: full })
}

/** Makes the user if the image has none of that name, and lets him in. */
const prepare = async (steps: Steps, stage: Stage, user: string): Promise<Stage> => {
  const atRoot = withConfig(stage, { workdir: '/' })
  const { layers } = await run(steps, atRoot, ['/bin/sh', '-c', prepareScript, 'prepare', user], 'root')
  return { ...stage, layers }
}

const take = async (steps: Steps, stage: Stage, step: ImageStep): Promise<Stage> => {
  switch (step.kind) {
    case 'run':
      return run(steps, stage, ['/bin/bash', '-l', '-c', step.command], step.user ?? stage.config.user ?? 'root')
    case 'copy':
      return copy(steps, stage, step)
    case 'env': {
      const values = Object.entries(step.values).map(([name, value]) => [name, expandText(value, lookupIn(stage))])
      return withConfig(stage, { env: { ...stage.config.env, ...Object.fromEntries(values) } })
    }
    case 'workdir':
      return workdir(steps, stage, step.path)
    case 'user': {
      const place = await steps.layering.newFolder()
      const isThere = await ownerIn(steps, stage, place, step.name).then(
        () => true,
        () => false,
      )
      return withConfig(isThere ? stage : await prepare(steps, stage, step.name), { user: step.name })
    }
  }
}

const baseOf = async (steps: Steps, { base, beginAs }: StepsBuild): Promise<Stage> => {
  const { reference, username, password } = base
  const { operation, layering } = steps
  const from =
    username === undefined
      ? await layering.stageOfImage(reference)
      : await layering.stageOfLayers(
          reference,
          await pullLayers({ ...operation, folder: await layering.newFolder() }, { reference, username, password }),
        )
  if (!beginAs) return from
  const { user } = beginAs
  const fit = beginAs.prepare ? await prepare(steps, from, user) : from
  const { home } = await ownerIn(steps, fit, await layering.newFolder(), user)
  // What the image was made to run is not run here.
  return withConfig(fit, { user, workdir: home, entrypoint: null, cmd: null })
}

/**
 * Builds an image by steps. Phases of its progress are `base` and the numbers of steps, from 1. Throws `image_build_failed`, whose details name the
 * `step` in the same way and have the end of its `log`; the cause says what went wrong, such as `command_failed` or `user_not_found`.
 */
export const buildSteps = async (operation: Operation, input: StepsBuild): Promise<ImageManifest> => {
  let number = 0
  const phase = (): string => (number === 0 ? 'base' : String(number))
  const say = (message: string): void => operation.onProgress?.({ phase: phase(), message })
  const layering = createLayering(operation, { language: 'steps', isFresh: () => number >= input.freshFrom, say })
  const steps: Steps = { operation, layering, say }

  const at = async <T>(work: () => Promise<T>): Promise<T> => {
    const started = performance.now()
    operation.onProgress?.({ phase: phase() })
    try {
      const result = await work()
      operation.onProgress?.({ phase: phase(), ms: Math.round(performance.now() - started) })
      return result
    } catch (cause) {
      if (!GibilError.is(cause) && !(cause instanceof SyntaxProblem)) throw cause
      if (GibilError.is(cause) && ['cancelled', 'interrupted', 'disk_full'].includes(cause.code)) throw cause
      const log = GibilError.is(cause) ? cause.details?.['log'] : undefined
      throw new GibilError('image_build_failed', `Step ${phase()} of ${input.name}: ${cause.message}`, {
        cause,
        details: { step: phase(), ...(typeof log === 'string' ? { log } : {}) },
      })
    }
  }

  let stage = await at(() => baseOf(steps, input))
  for (const step of input.steps) {
    number += 1
    const before = stage
    stage = await at(() => take(steps, before, step))
  }
  return operation.add({
    name: input.name,
    source: `steps on ${input.base.reference}`,
    layers: stage.layers,
    config: stage.config,
    buildLayers: [...layering.made].filter((id) => !stage.layers.includes(id)),
  })
}
