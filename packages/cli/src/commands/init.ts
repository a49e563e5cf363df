import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import { configPaths, readConfig, writeConfig } from '../config/config.ts'
import { Config, type Defaults } from '../config/schema.ts'
import type { Cli } from '../context.ts'
import { keepToken, noteToken, tokenOf } from '../hcloud-token.ts'
import { registerWith } from '../mcp-clients.ts'
import { cpus, duration, mebibytes } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface Flags
  extends Partial<
    Record<
      | 'image'
      | 'shape'
      | 'size'
      | 'cpu'
      | 'memory'
      | 'disk'
      | 'ttl'
      | 'idle'
      | 'onExpire'
      | 'onIdle'
      | 'user'
      | 'network'
      | 'isolation',
      string
    >
  > {
  readonly global?: boolean
  readonly yes?: boolean
  readonly hcloudToken?: string
  readonly mcp?: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option(
      '--global',
      'write ~/.config/gibil/config.yml, which holds for every daemon, instead of the one in its home',
    )
    .option('--image <image>', 'image of a box')
    .option('--shape <shape>', 'auto, container, microvm or vm')
    .option('--size <size>', 'small, medium or large')
    .option('--cpu <n>', 'cpus')
    .option('--memory <amount>', 'such as 4G')
    .option('--disk <amount>', 'such as 10G')
    .option('--ttl <time>', 'time to live')
    .option('--idle <time>', 'idle limit')
    .option('--on-expire <action>', 'destroy, stop or pause')
    .option('--on-idle <action>', 'pause, stop or destroy')
    .option('--user <user>', 'user of commands')
    .option('--network <policy>', 'internet, lan or none')
    .option('--isolation <kind>', 'namespaces or gvisor')
    .option(
      '--hcloud-token <source>',
      '-: read a token of a project in Hetzner Cloud from stdin, check it, and keep it in the home; none: forget it',
    )
    .option('--mcp <clients>', 'register `gibil mcp` with claude, cursor, vscode, codex, or all that you have')
    .option('-y, --yes', 'ask nothing')
    .action(action(cli, init))
}

async function init(session: Session, flags: Flags): Promise<void> {
  const paths = configPaths(session)
  const path = flags.global ? paths.user : paths.home
  const file = await readConfig(path)
  const before = file?.defaults ?? {}
  const {
    global: _global,
    yes,
    hcloudToken,
    mcp,
    home: _home,
    json: _json,
    ...flagged
  } = flags as Flags & { home?: string; json?: boolean }
  const given = flagged
  const quiet = Object.keys(given).length === 0
  const interactive =
    !yes &&
    !session.json &&
    quiet &&
    hcloudToken === undefined &&
    mcp === undefined &&
    session.stdin.isTTY === true &&
    session.stderr.isTTY === true
  const asked = interactive ? await ask(session, before) : undefined
  // First, so that nothing is written when it is refused.
  const token = hcloudToken === undefined ? asked?.token : await tokenOf(hcloudToken, session)
  const kept = token === undefined ? undefined : await keepToken(session, token)
  // Whoever gives a token alone keeps his defaults.
  if (quiet && kept && !asked && mcp === undefined) {
    session.emit({ hcloudToken: kept }, '')
    noteToken(session, kept)
    return
  }
  const config = { ...file, ...check({ ...before, ...(asked?.defaults ?? given) }) }
  await writeConfig(path, config)
  const clients = mcp ?? (interactive ? await askClients(session) : '')
  const registered = clients === '' ? [] : await registerWith(session, clients)
  const told = { ...(kept ? { hcloudToken: kept } : {}), ...(mcp === undefined ? {} : { mcp: registered }) }
  session.emit({ path, ...config, ...told }, `${path}\n`)
  session.note(`${session.colors.green('✓')} written\n`)
  if (kept) noteToken(session, kept)
  else session.note('  next: gibil create --name w\n')
  if (!flags.global && (await exists(paths.user)))
    session.note(`  ${paths.user} holds too, where this one says nothing.\n`)
}

/** The file must be readable by `create` afterwards, so the values are checked as `create` checks them. */
function check(defaults: unknown): Config {
  const parsed = Config.safeParse({ defaults })
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new GibilError('invalid_request', `${issue?.path.slice(1).join('.')}: ${issue?.message}`)
  }
  const { ttl, idle, cpu, memory, disk } = parsed.data.defaults ?? {}
  if (ttl !== undefined) duration(String(ttl), { none: true })
  if (idle !== undefined) duration(String(idle))
  if (cpu !== undefined) cpus(String(cpu))
  if (memory !== undefined) mebibytes(String(memory))
  if (disk !== undefined) mebibytes(String(disk))
  return parsed.data
}

interface Answers {
  readonly defaults: Defaults
  /** Undefined: none was given, and what the home has stays. */
  readonly token: string | undefined
}

async function ask(session: Session, before: Defaults): Promise<Answers> {
  const { group, intro, outro, password, select, text } = await import('@clack/prompts')
  const output = session.stderr
  intro('Defaults for new boxes', { output })
  const answers = await group(
    {
      image: () => text({ message: 'Image', initialValue: before.image ?? 'base', output }),
      size: () =>
        select({
          message: 'Size',
          initialValue: before.size ?? 'small',
          output,
          options: [
            { value: 'small' as const, label: 'small', hint: '2 cpu, 4 GiB' },
            { value: 'medium' as const, label: 'medium', hint: '4 cpu, 8 GiB' },
            { value: 'large' as const, label: 'large', hint: '8 cpu, 16 GiB' },
          ],
        }),
      ttl: () =>
        text({
          message: 'Time to live',
          initialValue: String(before.ttl ?? '60m'),
          output,
          validate: (value) => complaint(() => duration(value ?? '', { none: true })),
        }),
      token: () => password({ message: 'Token of a project in Hetzner Cloud, for boxes there (or nothing)', output }),
    },
    {
      onCancel: () => {
        throw new GibilError('cancelled', 'Nothing was written.', { hint: 'Run `gibil init` again, or give flags.' })
      },
    },
  )
  outro('Flags of `gibil create` override these.', { output })
  const { token, ...defaults } = answers
  return { defaults, token: token?.trim() || undefined }
}

/** Which of the clients that the user has get the tools. */
async function askClients(session: Session): Promise<string> {
  const { clientsOf, mcpClients } = await import('@gibil/mcp')
  const found = await clientsOf(session.env['HOME'] ?? homedir())
  if (found.length === 0) return ''
  const { isCancel, multiselect } = await import('@clack/prompts')
  const chosen = await multiselect({
    message: 'Register the tools (MCP) with',
    options: found.map((value) => ({ value, label: mcpClients[value].title })),
    initialValues: found,
    required: false,
    output: session.stderr,
  })
  return isCancel(chosen) ? '' : chosen.join(',')
}

function complaint(parse: () => unknown): string | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    return GibilError.from(error).message
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
