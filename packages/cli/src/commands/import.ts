import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { GibilError, type ImportBox } from '@gibil/sdk'
import { type Command, Option } from 'commander'
import type { Cli } from '../context.ts'
import { addLeaseOptions, type LeaseFlags, leaseOptions } from '../options/lease.ts'
import * as parse from '../options/parse.ts'
import { stateOf, timeLeft } from '../output/box.ts'
import { counted } from '../output/counted.ts'
import { createProgress } from '../output/progress.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface Flags extends LeaseFlags {
  readonly name?: string
  readonly shape?: ImportBox['shape']
  readonly size?: ImportBox['size']
  readonly cpu?: string
  readonly memory?: string
  readonly disk?: string
  readonly env?: string[]
}

export function define(command: Command, cli: Cli): void {
  addLeaseOptions(withCommonOptions(command))
    .argument('<file>', 'what `gibil export` has made, or - for stdin')
    .option('--name <name>', 'another name than it had')
    .addOption(new Option('--shape <shape>', 'container or microvm').choices(['container', 'microvm', 'vm']))
    .addOption(
      new Option('--size <size>', 'small 2 cpu/4 GiB, medium 4/8, large 8/16').choices(['small', 'medium', 'large']),
    )
    .option('--cpu <n>', 'cpus, such as 2 or 0.5')
    .option('--memory <amount>', 'such as 512M or 4G')
    .option('--disk <amount>', 'such as 10G')
    .option('--env <KEY=value>', 'a variable that the file lacks, or another value; repeat it', parse.collect)
    .addHelpText(
      'after',
      '\nWhat is not named is as it was: name, shape, size, environment, labels, lease (which begins anew), published ports. Nothing is made of a file that is ' +
        'damaged or cut off. A vm is made by importing a microvm or a container and moving that: gibil move <box> --shape vm.\n\nExamples:\n' +
        '  gibil import web.gibil --name web2 --ttl 8h\n' +
        '  ssh other gibil export web - | gibil import - --shape microvm\n',
    )
    .action(action(cli, importVerb))
}

async function importVerb(session: Session, file: string, flags: Flags): Promise<void> {
  const wish = wishOf(session, flags)
  const progress = session.json ? undefined : createProgress(session, flags.name ?? 'box')
  try {
    const { chunks, size } = await source(session, file)
    const counting = { onProgress: progress?.onProgress, live: session.stderr.isTTY === true, total: size }
    const body = Readable.from(counted(chunks, 'send', counting), { objectMode: false })
    const call = { onProgress: progress?.onProgress, signal: session.signal }
    const box = await (await session.gibil.import(body, wish, call)).info()
    progress?.end()
    const name = clean(box.name)
    session.emit(box, `${name}\n`)
    session.note(
      `${session.colors.green('✓')} ${name} is ${stateOf(box)}, a ${box.shape}, time left: ${timeLeft(box, Date.now())}\n` +
        `  next: gibil run ${name} -- <command>   gibil shell ${name}   gibil destroy ${name}\n`,
    )
  } finally {
    progress?.end()
  }
}

async function source(
  session: Session,
  file: string,
): Promise<{ chunks: AsyncIterable<Uint8Array>; size: number | undefined }> {
  if (file === '-') return { chunks: session.stdin, size: undefined }
  const path = resolve(session.cwd, file)
  const info = await stat(path).catch((cause: unknown) => {
    throw new GibilError('file_not_found', `${file} does not exist here.`, { hint: 'Check the path.', cause })
  })
  return { chunks: createReadStream(path), size: info.isFile() ? info.size : undefined }
}

/** The defaults of the config are for new boxes: this one has a lease and a size of its own. */
function wishOf(session: Session, flags: Flags): ImportBox {
  const { name, shape, size, cpu, memory, disk, env } = flags
  const { ttl, idle, onExpire, onIdle } = leaseOptions(flags, {})
  return {
    ...(name === undefined ? {} : { name }),
    ...(shape === undefined ? {} : { shape }),
    ...(size === undefined ? {} : { size }),
    ...(cpu === undefined ? {} : { cpu: parse.cpus(cpu) }),
    ...(memory === undefined ? {} : { memoryMib: parse.mebibytes(memory) }),
    ...(disk === undefined ? {} : { diskMib: parse.mebibytes(disk) }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(idle === undefined ? {} : { idle }),
    ...(onExpire === undefined ? {} : { onExpire }),
    ...(onIdle === undefined ? {} : { onIdle }),
    ...(env === undefined ? {} : { env: parse.environment(env, session.env) }),
  }
}
