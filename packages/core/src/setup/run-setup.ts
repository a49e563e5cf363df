import type { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { GibilConfig } from '../gibil-yml/config.ts'
import { maxConfigBytes, parseGibilYml } from '../gibil-yml/parse.ts'
import type { Context } from '../plane/context.ts'
import { resolveImage } from '../plane/images.ts'
import type { KeptSetups } from '../plane/kept-setups.ts'
import { withDeclared } from '../plane/publishing.ts'
import { configureBox, isBare } from '../plane/steps.ts'
import { abortable } from '../util/timing.ts'
import { effectOf } from './apply-config.ts'
import { basicAuth, clone, headCommit, repoPath } from './clone.ts'
import { runTasks, type SetupRun } from './commands.ts'
import { createOutput, type Output } from './output.ts'
import { runScript } from './run-script.ts'
import { checkRuntime } from './runtime.ts'
import { checkServices, startServices } from './services.ts'
import { runSessionHooks } from './session-hooks.ts'

/** `again`: the box has to be made anew first. `gone`: it went away meanwhile. `waits`: for its tree. */
type Outcome = 'done' | 'again' | 'gone' | 'waits'

interface Begin {
  readonly record: BoxRecord
  readonly tar: Readable | null
  readonly signal: AbortSignal
  readonly keep: KeptSetups['keep']
}

/** Runs what is left of the set-up of a running box, from its readiness on. Readiness is written down before each part. */
export async function runSetup(context: Context, begin: Begin): Promise<Outcome> {
  const { id } = begin.record
  const token = context.tokens.get(id)
  const output = createOutput(context.deps.setupLog, id, token ? [token.password, basicAuth(token)] : [])
  try {
    return await parts(context, begin, output)
  } finally {
    await output.flush()
  }
}

async function parts(context: Context, { record: begin, tar, signal, keep }: Begin, output: Output): Promise<Outcome> {
  const { boxes, deps, policy } = context
  const { clock } = deps
  const runFor = (record: BoxRecord): SetupRun => ({
    record,
    boxd: context.boxd.of(record, signal),
    output,
    signal,
    step: (title, work) => measure(context, record, output, title, work),
  })
  const move = (change: (latest: BoxRecord) => Partial<BoxRecord>): Promise<BoxRecord | undefined> =>
    boxes
      .update(begin.id, (latest) => (signal.aborted || latest.desired === 'gone' ? undefined : change(latest)))
      .then((record) => {
        signal.throwIfAborted()
        return record?.desired === 'gone' ? undefined : record
      })

  let record: BoxRecord | undefined = begin
  if (isBare(record)) {
    await runScript(runFor(record), context.policy.taskTimeoutMs, keep)
    record = await move(() => ({ setupDone: true }))
    if (!record) return 'gone'
    await configure(context, record, signal)
  }
  if (record.readiness === 'cloning' && record.repo) {
    if (record.repo.url === null && !tar) return 'waits'
    const fetched = await fetchRepo(context, runFor(record), tar)
    if (fetched.remake) {
      const { remake } = fetched
      const { chosenBecause = null } = fetched.patch
      const remade = await context.admission.resize(begin, remake.size, () =>
        move(({ remakes, repo }) => {
          if (repo?.url === null) throw cannotSendAgain(begin, remake.image)
          const setup = fetched.patch.setup ? { setup: fetched.patch.setup } : {}
          return { remake, chosenBecause, remakes: remakes + 1, config: fetched.config, ...setup }
        }),
      )
      return remade ? 'again' : 'gone'
    }
    context.tokens.delete(begin.id)
    record = await move(({ repo }) => ({
      ...fetched.patch,
      repo: repo && { ...repo, ...(fetched.commit === undefined ? {} : { commit: fetched.commit }) },
      readiness: 'services',
    }))
    if (!record) return 'gone'
    await configure(context, record, signal)
  }

  const { config } = record
  if (config) {
    await startServices(runFor(record), clock, config.services)
    record = await move(() => ({ readiness: 'tasks' }))
    if (!record) return 'gone'
    const run = runFor(record)
    if (!record.tasksDone) {
      await runTasks(run, 'onCreate', config.onCreate, policy.taskTimeoutMs)
      await runTasks(run, 'task', config.tasks, policy.taskTimeoutMs)
    }
    await runTasks(run, 'onStart', config.onStart, policy.taskTimeoutMs)
  }
  if (config?.sessionStart !== false) {
    const { any, env } = await runSessionHooks(context, runFor(record), record.tasksDone ? 'resume' : 'startup')
    if (any) {
      record = await move((latest) => ({ hooked: true, hookEnv: { ...latest.hookEnv, ...env } }))
      if (!record) return 'gone'
      await configure(context, record, signal)
    }
  }
  const ready = await move((latest) => ({
    readiness: 'ready',
    tasksDone: true,
    failure: null,
    // Once: one that its user took back stays so.
    ...(latest.tasksDone ? {} : { published: withDeclared(latest, deps.random) }),
  }))
  return ready ? 'done' : 'gone'
}

interface Fetched {
  readonly config: GibilConfig | null
  readonly commit: string | undefined
  readonly patch: Partial<BoxRecord>
  readonly remake: BoxRecord['remake']
}

/** Clone or upload, then `.gibil.yml` and everything that can be known to be wrong before anything of it runs. */
async function fetchRepo(context: Context, run: SetupRun, tar: Readable | null): Promise<Fetched> {
  const { record, boxd, signal } = run
  const { repo } = record
  if (tar) {
    await run.step('upload', () =>
      abortable(boxd.putTar(repoPath, tar, record.user), signal).catch((error) => {
        signal.throwIfAborted()
        throw GibilError.from(error, 'clone_failed')
      }),
    )
  } else if (repo?.url) {
    const { url } = repo
    await run.step('clone', () =>
      clone(run, { ...repo, url }, context.tokens.get(record.id), context.policy.cloneTimeoutMs),
    )
  }
  const commit = await headCommit(run)
  const bytes = await abortable(boxd.readFile(`${repoPath}/.gibil.yml`, maxConfigBytes), signal).catch((cause) => {
    signal.throwIfAborted()
    if (!GibilError.is(cause) || cause.code !== 'payload_too_large') throw cause
    throw new GibilError('invalid_config', `.gibil.yml is longer than ${maxConfigBytes / 1024} KiB.`, { cause })
  })
  const config = bytes ? parseGibilYml(new TextDecoder().decode(bytes)) : null
  if (!config) return { config, commit, patch: {}, remake: null }
  const { patch, remake } = await effectOf(context, record, config)
  if (!remake) {
    checkServices(run, config.services)
    await checkRuntime(run, config.runtime)
  }
  return { config, commit, patch, remake }
}

const cannotSendAgain = ({ name, image }: BoxRecord, wanted: string): GibilError =>
  new GibilError(
    'invalid_config',
    `The .gibil.yml that was sent asks for another image, shape, size or set-up script than "${name}" was made with (${image}).`,
    {
      hint: `Name them at create, such as --image ${wanted} or --setup <file>: what was sent would be lost when the box is made anew.`,
      details: { step: 'upload' },
    },
  )

async function configure(context: Context, record: BoxRecord, signal: AbortSignal): Promise<void> {
  const image = await resolveImage(context.deps.images, record.provider, record.imageDigest)
  await abortable(configureBox(context.boxd.of(record, signal), record, image), signal)
}

async function measure<T>(
  context: Context,
  record: BoxRecord,
  output: Output,
  title: string,
  work: () => Promise<T>,
): Promise<T> {
  const { boxes, deps, events, progress } = context
  const begin = deps.clock.now()
  progress.tell(record.id, { phase: title, message: 'begins' })
  output.beginStep(title)
  const result = await work()
  const ms = deps.clock.now() - begin
  progress.tell(record.id, { phase: title, ms })
  const after = await boxes.update(record.id, ({ timings }) => ({
    timings: [...timings, { phase: title, ms }].slice(-200),
  }))
  if (after) await events.append('box.phase', record, { phase: title, ms })
  return result
}
