import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { GibilError } from '@gibil/contract'
import type { BuildNetwork } from '../build-runner.ts'
import type { Operation } from '../operation.ts'
import { identify, readUsers } from '../users.ts'
import { failAt, type Instruction } from './parse.ts'
import { readStage } from './read-stage.ts'
import { proxyArguments, type Stage, stageEnvironment, stageShell } from './stage.ts'
import type { Build, StepMaker } from './step.ts'
import { SyntaxProblem } from './words.ts'

/** A here-document that is the whole command: its lines are the script. */
const scriptPath = '/.gibil-build-script'

interface Command {
  readonly argv: readonly string[]
  readonly script: string | null
}

const commandOf = (stage: Stage, instruction: Instruction): Command => {
  const { rest, json, heredocs } = instruction
  if (json) {
    if (json.length === 0) throw new SyntaxProblem('It names no command.')
    return { argv: json, script: null }
  }
  const text = rest.trim()
  if (text === '') throw new SyntaxProblem('It names no command.')
  const [first] = heredocs
  if (first && heredocs.length === 1 && /^<<-?["']?[A-Za-z0-9_.]+["']?$/.test(text)) {
    // With a first line of its own (#!) it is run by that; else by the shell.
    if (first.content.startsWith('#!')) return { argv: [scriptPath], script: first.content }
    return { argv: [...stageShell(stage), first.content], script: null }
  }
  const bodies = heredocs.map((one) => `\n${one.content}${one.name}`).join('')
  return { argv: [...stageShell(stage), `${text}${bodies}`], script: null }
}

/** Folders that a step has for itself: what a cache mount holds does not become part of the image, and is empty each time. */
const scratchOf = (instruction: Instruction): string[] =>
  instruction.flags
    .filter((flag) => flag.name === 'mount')
    .map((flag) => {
      const options = new Map(
        (flag.value ?? '')
          .split(',')
          .map((part): [string, string] => [part.split('=')[0] ?? '', part.split('=')[1] ?? '']),
      )
      const target = options.get('target') ?? options.get('dst') ?? options.get('destination') ?? ''
      const type = options.get('type')
      if ((type !== 'cache' && type !== 'tmpfs') || !target.startsWith('/')) {
        throw new SyntaxProblem('Of --mount, only type=cache and type=tmpfs with an absolute target are supported.')
      }
      return target
    })

const networkFor = async (operation: Operation, id: string): Promise<BuildNetwork> => {
  if (operation.networks) {
    const { netnsPath, resolvConf } = await operation.networks.create(id)
    return { kind: 'namespace', path: netnsPath, resolvConf }
  }
  return operation.allowHostNetwork ? { kind: 'host' } : { kind: 'none' }
}

const isOffline = (instruction: Instruction): boolean => {
  const network = instruction.flags.find((flag) => flag.name === 'network')?.value ?? 'default'
  if (network !== 'none' && network !== 'default')
    throw new SyntaxProblem('Of --network, only none and default are supported.')
  return network === 'none'
}

export const runStep: StepMaker = async (build, stage, instruction) => {
  const unknown = instruction.flags.find((flag) => flag.name !== 'mount' && flag.name !== 'network')
  if (unknown) throw new SyntaxProblem(`--${unknown.name} is not supported.`)
  const { argv, script } = commandOf(stage, instruction)
  const scratch = scratchOf(instruction)
  const offline = isOffline(instruction)
  return runCommand(build, stage, {
    argv,
    script,
    scratch,
    offline,
    failure: (exitCode, tail) => failAt(instruction, `exit code ${exitCode}.${lastWords(tail)}`, { log: tail }),
  })
}

export interface RunCommand {
  readonly argv: readonly string[]
  readonly script: string | null
  readonly scratch: readonly string[]
  readonly offline: boolean
  readonly failure: (exitCode: number, tail: string) => GibilError
}

/** Runs a command in a stage, as its user and in its directory, and makes a layer of what it changed. Throws `user_not_found`. */
export const runCommand = async (
  build: Pick<Build, 'operation' | 'layer' | 'say'>,
  stage: Stage,
  { argv, script, scratch, offline, failure }: RunCommand,
): Promise<Stage> => {
  const { operation } = build
  const env = stageEnvironment(stage)
  const counted = Object.fromEntries(
    Object.entries(env).filter(([name]) => !proxyArguments.includes(name) || name in stage.config.env),
  )
  const user = stage.config.user ?? 'root'
  const cwd = stage.config.workdir ?? '/'
  return build.layer(stage, ['run', argv, script, scratch, counted, user, cwd], async (folder) => {
    const identity = await readStage(build, stage, folder, async (merged) => identify(await readUsers(merged), user))
    if (script !== null) await writeFile(join(folder, 'script'), script, { mode: 0o755 })
    const id = `build-${randomBytes(6).toString('hex')}`
    const network: BuildNetwork = offline ? { kind: 'none' } : await networkFor(operation, id)
    if (network.kind === 'none' && !offline) build.say('This daemon gives build steps no network.')
    try {
      const { exitCode, tail, tree } = await operation.runner.run({
        layers: stage.layers.map(operation.layers.pathOf).reverse(),
        folder,
        argv,
        env: { HOME: identity.home, ...env },
        cwd,
        user: identity,
        network,
        files: script === null ? [] : [{ source: join(folder, 'script'), target: scriptPath, executable: true }],
        scratch,
        onLine: build.say,
        signal: operation.signal,
      })
      if (exitCode !== 0) throw failure(exitCode, tail)
      return tree
    } finally {
      if (network.kind === 'namespace') await operation.networks?.destroy(id)
    }
  })
}

const lastWords = (tail: string): string => {
  const line = tail.trim().split('\n').at(-1)?.trim().slice(-200) ?? ''
  return line === '' ? '' : ` It ended with: ${line}`
}
