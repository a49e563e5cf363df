import { Readable } from 'node:stream'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect'
import type { BoxdClient, CommandChannel } from '@gibil/boxd-client'
import { Exit, FrameType, GibilError, Job, type TtySize } from '@gibil/contract'
import {
  type Command,
  EventSchema,
  type Happening,
  HappeningSchema,
  type Input,
  type Launch,
  type Process,
  type Selector,
  Signal,
  type Terminal,
} from '../gen/process_pb.js'
import type { Sandbox } from '../view.ts'
import type { SandboxCall } from './call.ts'
import { keepaliveMs, withKeepalive } from './keepalive.ts'
import { streaming, unary } from './serve.ts'

/** A tag is kept as the label of its job, which has room for so much. */
const maxTag = 200
/** For so long the end of a process is told to who asks for it late. */
const endKeptMs = 30_000

/** How processes were started that are asked for again: boxd does not tell their environment. By box and job, oldest first. */
export type Launches = Map<string, Command>
const mostLaunches = 4096

export function processService(launches: Launches): ServiceImpl<typeof Process> {
  return {
    start: streaming((request, call, context) => start(request, call, context, launches)),
    connect: streaming(async function* ({ process }, call, context) {
      const boxd = call.boxd(context.signal)
      const job = await findJob(boxd, process, { ended: true })
      // Only what is printed from now on.
      const channel = await boxd.attach(job.id, job.outputBytes)
      yield* withKeepalive(follow(channel, job.tty), keepaliveMs(context.requestHeader), keepalive)
    }),
    list: unary(async (_, call, context) => {
      const jobs = (await call.boxd(context.signal).listJobs()).filter(({ exit }) => exit === null)
      return { processes: jobs.map((job) => infoOf(job, launches.get(keyOf(call, job.id)))) }
    }),
    sendInput: unary(async ({ process, input }, call, context) => {
      const boxd = call.boxd(context.signal)
      const job = await findJob(boxd, process)
      await feed(boxd, job, input)
      return {}
    }),
    async streamInput(parts, context) {
      let job: Job | undefined
      const each = unary(async (part: typeof parts extends AsyncIterable<infer T> ? T : never, call) => {
        const boxd = call.boxd(context.signal)
        const { event } = part
        if (event.case === 'start') job = await findJob(boxd, event.value.process)
        if (event.case !== 'data') return
        if (!job) throw new ConnectError('The first part names no process.', Code.InvalidArgument)
        await feed(boxd, job, event.value.input)
      })
      for await (const part of parts) await each(part, context)
      return {}
    },
    closeStdin: unary(async ({ process }, call, context) => {
      const boxd = call.boxd(context.signal)
      const job = await findJob(boxd, process)
      if (job.tty) throw new ConnectError('A terminal ends by the character that ends it (4).', Code.FailedPrecondition)
      await boxd.writeStdin(job.id, Readable.from([]), { end: true })
      return {}
    }),
    sendSignal: unary(async ({ process, signal }, call, context) => {
      const boxd = call.boxd(context.signal)
      const name = signal === Signal.SIGKILL ? 'SIGKILL' : signal === Signal.SIGTERM ? 'SIGTERM' : undefined
      if (!name) throw new ConnectError('Only SIGKILL and SIGTERM can be sent.', Code.Unimplemented)
      const job = await findJob(boxd, process)
      await boxd.signalJob(job.id, { signal: name, group: false })
      return {}
    }),
    update: unary(async ({ process, pty }, call, context) => {
      const boxd = call.boxd(context.signal)
      const job = await findJob(boxd, process)
      const size = sizeOf(pty)
      if (size && !job.tty) throw new ConnectError('The process has no terminal.', Code.FailedPrecondition)
      if (size) await boxd.resizeJob(job.id, size)
      return {}
    }),
  }
}

async function* start(
  request: Launch,
  call: SandboxCall,
  context: HandlerContext,
  launches: Launches,
): AsyncGenerator<Happening> {
  const { process, pty, tag = '', stdin = true } = request
  if (!process?.cmd) throw new ConnectError('process.cmd is empty.', Code.InvalidArgument)
  if (tag.length > maxTag) throw new ConnectError(`A tag has at most ${maxTag} characters.`, Code.InvalidArgument)
  const tty = pty && (sizeOf(pty) ?? { cols: 80, rows: 24 })
  const boxd = call.boxd()
  const channel = await boxd
    .openCommand({
      argv: [process.cmd, ...process.args],
      cwd: process.cwd || call.terms.workdir || undefined,
      env: { ...ownEnvironment(call), ...process.envs },
      user: call.user,
      label: tag,
      timeoutMs: timeoutOf(context),
      tty,
      stdin: tty ? undefined : stdin,
    })
    .catch((error) => explain(error, boxd, process))
  // A client that leaves lets go of the command, which goes on.
  const leave = (): void => channel.close()
  context.signal.addEventListener('abort', leave, { once: true })
  try {
    const started = (job: Job): void => {
      launches.set(keyOf(call, job.id), process)
      const [oldest] = launches.keys()
      if (launches.size > mostLaunches && oldest !== undefined) launches.delete(oldest)
    }
    yield* withKeepalive(follow(channel, tty !== undefined, started), keepaliveMs(context.requestHeader), keepalive)
  } finally {
    context.signal.removeEventListener('abort', leave)
    channel.close()
  }
}

const keyOf = ({ box }: SandboxCall, job: string): string => `${box.id}/${job}`

/** How long a command may take, which the client says as the time of its call: boxd ends it then, whoever listens. */
function timeoutOf({ requestHeader }: HandlerContext): number | undefined {
  const ms = Number(requestHeader.get('connect-timeout-ms'))
  return Number.isInteger(ms) && ms > 0 ? ms : undefined
}

/** What every process of a sandbox knows of where it is. */
export const ownEnvironment = ({ box, terms }: Sandbox): Record<string, string> => ({
  E2B_SANDBOX: 'true',
  E2B_SANDBOX_ID: box.id,
  E2B_TEMPLATE_ID: terms.template,
})

/** A command that cannot be found, and a directory that is not there, are one error to boxd. */
async function explain(error: unknown, boxd: BoxdClient, { cmd, cwd }: Command): Promise<never> {
  if (!GibilError.is(error) || error.code !== 'command_not_found') throw error
  const there = !cwd || (await boxd.stat(cwd).then(Boolean, () => false))
  const what = there ? `executable '${cmd}' not found` : `cwd '${cwd}' does not exist`
  throw new ConnectError(what, Code.InvalidArgument)
}

/** The frames of a command as events of a stream: first that it runs, last how it ended. */
async function* follow(channel: CommandChannel, tty: boolean, onStart?: (job: Job) => void): AsyncGenerator<Happening> {
  for await (const { type, payload } of channel) {
    if (type === FrameType.started) {
      const job = Job.parse(JSON.parse(payload.toString()).job)
      onStart?.(job)
      yield happening({ case: 'start', value: { pid: job.pid } })
    } else if (type === FrameType.stdout || type === FrameType.stderr) {
      const stream = tty ? 'pty' : type === FrameType.stdout ? 'stdout' : 'stderr'
      yield happening({ case: 'data', value: { output: { case: stream, value: new Uint8Array(payload) } } })
    } else if (type === FrameType.exit) {
      const exit = Exit.parse(JSON.parse(payload.toString()))
      if (exit.timedOut) throw new ConnectError('The command took longer than it was given.', Code.DeadlineExceeded)
      yield happening({ case: 'end', value: ended(exit) })
    } else if (type === FrameType.error) {
      throw GibilError.fromBody(JSON.parse(payload.toString()), 'The command could not go on.')
    }
  }
}

type EventInit = NonNullable<MessageInitShape<typeof EventSchema>['event']>
const happening = (event: EventInit): Happening => create(HappeningSchema, { event: create(EventSchema, { event }) })
const keepalive = (): Happening => happening({ case: 'keepalive', value: {} })

/** How a process ended, in the words that Go has for it, which SDKs pass on. */
export function ended({ exitCode, signal }: Pick<Exit, 'exitCode' | 'signal'>) {
  if (exitCode === null) {
    const status = `signal: ${signalWords[signal ?? ''] ?? (signal ?? 'unknown').toLowerCase()}`
    return { exitCode: -1, exited: false, status, error: status }
  }
  const status = `exit status ${exitCode}`
  return { exitCode, exited: true, status, ...(exitCode === 0 ? {} : { error: status }) }
}

const signalWords: Readonly<Record<string, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGQUIT: 'quit',
  SIGABRT: 'aborted',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGPIPE: 'broken pipe',
  SIGALRM: 'alarm clock',
  SIGTERM: 'terminated',
}

/** The job that is meant; with `ended`, also one that ended a moment ago. Throws `not_found`. */
async function findJob(boxd: BoxdClient, selector: Selector | undefined, options?: { ended: true }): Promise<Job> {
  const { selector: wanted } = selector ?? { selector: { case: undefined } }
  const isMeant = ({ pid, label }: Job): boolean =>
    wanted.case === 'pid' ? pid === wanted.value : wanted.case === 'tag' && label === wanted.value
  const isThere = ({ exit, startedAt }: Job): boolean =>
    exit === null || (options !== undefined && Date.now() - Date.parse(startedAt) - exit.durationMs < endKeptMs)
  const job = (await boxd.listJobs()).findLast((one) => isMeant(one) && isThere(one))
  if (job) return job
  const name =
    wanted.case === undefined ? 'no process is named' : `process with ${wanted.case} ${wanted.value} not found`
  throw new ConnectError(name, wanted.case === undefined ? Code.InvalidArgument : Code.NotFound)
}

async function feed(boxd: BoxdClient, job: Job, input: Input | undefined): Promise<void> {
  const given = input?.input
  if (given?.case === undefined) throw new ConnectError('There is no input.', Code.InvalidArgument)
  if ((given.case === 'pty') !== job.tty) {
    const has = job.tty ? 'a terminal' : 'no terminal'
    throw new ConnectError(`The process has ${has}.`, Code.FailedPrecondition)
  }
  await boxd.writeStdin(job.id, Readable.from([Buffer.from(given.value)]), { end: false })
}

function sizeOf(pty: Terminal | undefined): TtySize | undefined {
  if (!pty?.size) return undefined
  const { cols, rows } = pty.size
  const fits = [cols, rows].every((side) => side >= 1 && side <= 1000)
  if (!fits) throw new ConnectError('A terminal has 1 to 1000 columns and rows.', Code.InvalidArgument)
  return { cols, rows }
}

function infoOf(job: Job, launch: Command | undefined) {
  const [cmd = '', ...args] = job.argv
  const config = { cmd, args, cwd: job.cwd, envs: launch?.envs ?? {} }
  return { config, pid: job.pid, ...(job.label === '' ? {} : { tag: job.label }) }
}
