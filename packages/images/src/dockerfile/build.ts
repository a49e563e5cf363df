import { GibilError } from '@gibil/contract'
import type { ImageManifest } from '../manifest.ts'
import type { Operation } from '../operation.ts'
import { type BuildArguments, configure, readArgument } from './configure.ts'
import type { Context } from './context.ts'
import { copyStep } from './copy-step.ts'
import { createLayering } from './layering.ts'
import { describe, failAt, type Instruction, parseDockerfile } from './parse.ts'
import { findStage, type PlannedStage, planStages } from './plan.ts'
import { runStep } from './run-step.ts'
import { emptyStage, proxyArguments, type Stage } from './stage.ts'
import type { Build, StepMaker } from './step.ts'
import { SyntaxProblem } from './words.ts'
import { workdirStep } from './workdir-step.ts'

export interface DockerfileBuild {
  readonly name: string
  readonly context: Context
  readonly args: Readonly<Record<string, string>>
  readonly noCache: boolean
}

const steps: Readonly<Record<string, StepMaker>> = { RUN: runStep, COPY: copyStep, ADD: copyStep, WORKDIR: workdirStep }

/** Codes that say by themselves what is wrong, wherever in a Dockerfile they come up. */
const ownCodes = new Set(['cancelled', 'interrupted', 'disk_full', 'missing_tool', 'timeout', 'image_build_failed'])

const located = (instruction: Instruction, error: unknown): unknown => {
  if (GibilError.is(error)) {
    if (ownCodes.has(error.code)) return error
    const log = error.details?.['log']
    return failAt(instruction, error.message, {
      cause: error,
      hint: error.hint,
      ...(typeof log === 'string' ? { log } : {}),
    })
  }
  if (error instanceof SyntaxProblem) return failAt(instruction, error.message, { cause: error })
  return error
}

const at = async <T>(instruction: Instruction, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    throw located(instruction, error)
  }
}

/** Node's names of architectures as BuildKit's predefined arguments have them. */
const goArch: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

const platformArguments = (arch: string): Record<string, string> => {
  const of = (prefix: string) => ({
    [`${prefix}PLATFORM`]: `linux/${goArch[arch] ?? arch}`,
    [`${prefix}OS`]: 'linux',
    [`${prefix}ARCH`]: goArch[arch] ?? arch,
  })
  return { ...of('BUILD'), ...of('TARGET'), TARGETVARIANT: '' }
}

/** Builds an image from a Dockerfile. Throws `image_build_failed`, which names file, line and instruction. */
export const buildDockerfile = async (operation: Operation, input: DockerfileBuild): Promise<ImageManifest> => {
  const { context } = input
  const dockerfile = parseDockerfile(context.dockerfileText, context.dockerfileName)
  const platform = platformArguments(operation.arch)
  const { escapeChar } = dockerfile

  let before = emptyStage('')
  for (const one of dockerfile.globals) {
    const args = await at(one, async () =>
      readArgument(one.rest, before, escapeChar, { given: input.args, globals: platform }),
    )
    before = { ...before, args }
  }
  const outside: BuildArguments = { given: input.args, globals: { ...platform, ...before.args } }
  const proxies = Object.fromEntries(Object.entries(input.args).filter(([name]) => proxyArguments.includes(name)))
  const stages = planStages(dockerfile, (name) => outside.globals[name], platform['TARGETPLATFORM'] ?? '')
  const total = stages.reduce((sum, stage) => sum + stage.instructions.length + 1, 0)
  let number = 0
  let phase = ''

  const say = (message: string): void => operation.onProgress?.({ phase, message })

  const { layer, made, stageOfImage } = createLayering(operation, {
    language: 'dockerfile',
    isFresh: () => input.noCache,
    say,
  })

  const done = new Map<number, Stage>()
  const build: Build = {
    operation,
    context,
    escapeChar,
    outside: { ...outside, given: { ...outside.given } },
    layer,
    say,
    stageFor: async (name, index) => {
      const stage = findStage(stages, name, index)
      return (stage && done.get(stage.index)) ?? stageOfImage(name)
    },
  }

  const step = async (instruction: Instruction, work: () => Promise<Stage>): Promise<Stage> => {
    number += 1
    phase = `${number}/${total} ${describe(instruction)}`
    const started = performance.now()
    operation.onProgress?.({ phase })
    const result = await at(instruction, work)
    operation.onProgress?.({ phase, ms: Math.round(performance.now() - started) })
    return result
  }

  const baseOf = async ({ base, name }: PlannedStage): Promise<Stage> => {
    if (base.kind === 'scratch') return emptyStage(name)
    const from = base.kind === 'stage' ? done.get(base.index) : await stageOfImage(base.ref)
    return { ...(from ?? emptyStage(name)), name, args: {} }
  }

  for (const planned of stages) {
    let stage = await step(planned.from, () => baseOf(planned))
    for (const instruction of planned.instructions) {
      stage = await step(instruction, async () => {
        const configured = configure(stage, instruction, escapeChar, outside)
        if (configured) return configured
        const make = steps[instruction.keyword]
        if (!make) throw new SyntaxProblem('This instruction is not supported.')
        const withProxies = { ...stage, args: { ...proxies, ...stage.args } }
        return { ...(await make(build, withProxies, instruction, planned.index)), args: stage.args }
      })
    }
    done.set(planned.index, stage)
  }

  const last = done.get(stages.at(-1)?.index ?? -1) ?? emptyStage('')
  if (last.layers.length === 0) {
    throw new GibilError('image_build_failed', `${context.dockerfileName}: the image would be empty.`, {
      hint: 'Add files by COPY or ADD.',
    })
  }
  return operation.add({
    name: input.name,
    source: `Dockerfile ${context.dockerfileName}`,
    layers: last.layers,
    config: last.config,
    buildLayers: [...made].filter((id) => !last.layers.includes(id)),
  })
}
