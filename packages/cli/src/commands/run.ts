import {
  type Command as BoxCommand,
  type BoxHandle,
  type CommandOptions,
  type CommandStream,
  GibilError,
  type RunResult,
} from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { collect, environment, environmentFile, milliseconds } from '../options/parse.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { feed, inputIsPiped, pump, statusOf } from '../streaming.ts'

interface Flags {
  readonly cwd?: string
  readonly env?: string[]
  readonly envFile?: string[]
  readonly user?: string
  readonly timeout?: string
  readonly label?: string
  readonly detach?: boolean
  readonly stdin: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[command...]', 'after --: a program and its arguments; or one line for bash')
    .option('--timeout <time>', 'kill it after this time, such as 10m')
    .option('--cwd <dir>', 'default: the repository, else the home directory')
    .option('--env <KEY=value>', 'environment; repeat it for more', collect)
    .option('--env-file <file>', 'the same, from a file', collect)
    .option('--user <user>', 'such as root')
    .option('--label <text>', 'what `gibil jobs` shows beside it')
    .option('-d, --detach', 'start it and print its job id')
    .option('--no-stdin', 'pass no input on, although something is piped in')
    .addHelpText(
      'after',
      '\nExamples:\n  gibil run w -- npm test\n  gibil run w "npm test | tee log"\n  cat dump.sql | gibil run w -- psql app\n\nExit status: that of the command; 128 + n when signal n ended it; 125 when gibil itself failed.',
    )
    .action(action(cli, run))
}

async function run(session: Session, ref: string, words: string[], flags: Flags): Promise<number> {
  const box = session.gibil.box(ref)
  const command = commandOf(words, session)
  const fromFiles = await Promise.all((flags.envFile ?? []).map((file) => environmentFile(file, session.cwd)))
  const options: CommandOptions = {
    cwd: flags.cwd,
    user: flags.user,
    label: flags.label,
    env: Object.assign({}, ...fromFiles, environment(flags.env ?? [], session.env)),
    timeoutMs: flags.timeout === undefined ? undefined : milliseconds(flags.timeout),
  }
  return flags.detach ? detach(session, box, command, options) : attached(session, box, command, options, flags)
}

/** Words after `--` are a program and its arguments, as are several words; a single word is a line for bash. */
function commandOf(words: readonly string[], session: Session): BoxCommand {
  const [first, ...rest] = words
  if (first === undefined) {
    throw new GibilError('invalid_request', 'Run what?', { hint: 'Give a command: gibil run <box> -- npm test' })
  }
  return rest.length > 0 || session.afterDashes ? words : first
}

async function detach(session: Session, box: BoxHandle, command: BoxCommand, options: CommandOptions): Promise<number> {
  const job = await box.jobs.start(command, { ...options, signal: session.signal })
  session.emit(job, `${job.id}\n`)
  session.note(`  next: gibil logs ${box.ref} ${job.id} --follow   gibil kill ${box.ref} ${job.id}\n`)
  return 0
}

async function attached(
  session: Session,
  box: BoxHandle,
  command: BoxCommand,
  options: CommandOptions,
  flags: Flags,
): Promise<number> {
  const stdin = flags.stdin && inputIsPiped(session)
  const stream = await box.stream(command, { ...options, stdin, signal: session.signal })
  let interrupts = 0
  const release = session.onInterrupt((signal) => {
    interrupts += 1
    void stream.kill(interrupts > 1 ? 'SIGKILL' : signal).catch(() => undefined)
  })
  try {
    if (stdin) feed(stream, session)
    const result = session.json
      ? await collectResult(stream)
      : { ...(await pump(stream, session)), stdout: '', stderr: '', truncated: false }
    if (session.json) session.emit(result, '')
    if (result.timedOut) session.note(`${clean(box.ref)}: killed after its timeout of ${flags.timeout}\n`)
    if (stream.lost > 0)
      session.note(`${clean(box.ref)}: ${stream.lost} bytes of output were lost while the connection was away\n`)
    return statusOf(result)
  } finally {
    release()
  }
}

/** Kept of each stream with `--json`. */
const maxKept = 8 * 1024 * 1024

async function collectResult(stream: CommandStream): Promise<RunResult> {
  const kept = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
  const size = { stdout: 0, stderr: 0 }
  for await (const { stream: name, data } of stream) {
    if (size[name] < maxKept) kept[name].push(data.subarray(0, maxKept - size[name]))
    size[name] += data.byteLength
  }
  const exit = await stream.exit
  return {
    ...exit,
    stdout: Buffer.concat(kept.stdout).toString('utf8'),
    stderr: Buffer.concat(kept.stderr).toString('utf8'),
    truncated: Math.max(size.stdout, size.stderr) > maxKept,
  }
}
