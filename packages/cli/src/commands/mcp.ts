import { resolve } from 'node:path'
import type { Command } from 'commander'
import { cliVersion } from '../cli-version.ts'
import { readDefaults } from '../config/config.ts'
import type { Cli } from '../context.ts'
import { clientNamed, serverCommand } from '../mcp-clients.ts'
import { createOptions } from '../options/create.ts'
import { collect, environment } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface Flags {
  readonly root?: string
  readonly agentEnv?: string[]
  readonly printConfig?: string | true
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('--root <dir>', 'directory of this machine that its tools may read and write (default: the current one)')
    .option(
      '--agent-env <KEY>',
      'a variable of this process that agents of sessions get, such as ANTHROPIC_API_KEY; repeat it for more',
      collect,
    )
    .option(
      '--print-config [client]',
      'print what belongs into the config of claude, cursor, vscode or codex, and serve nothing',
    )
    .addHelpText('after', '\nStarted by the client, not by hand. Let it be registered: gibil init --mcp all')
    .action(action(cli, mcp))
}

async function mcp(session: Session, flags: Flags): Promise<void> {
  const { gibil, cwd, env, stdin, stdout, signal } = session
  if (flags.printConfig !== undefined) {
    const client = flags.printConfig === true ? 'claude' : await clientNamed(flags.printConfig)
    const { configText } = await import('@gibil/mcp')
    const text = configText(client, serverCommand(session))
    session.emit({ client, config: text }, text)
    return
  }
  const { serveOverStdio } = await import('@gibil/mcp')
  const place = {
    gibil,
    local: resolve(cwd, flags.root ?? '.'),
    defaults: await createOptions({}, await readDefaults(session), session),
    repoToken: env['GIBIL_REPO_TOKEN'],
    // One that is not set here is no reason to serve nothing.
    agentEnv: environment(
      (flags.agentEnv ?? []).filter((pair) => pair.includes('=') || env[pair] !== undefined),
      env,
    ),
  }
  // Its stdout is the protocol; what people should read goes to stderr, which clients keep in a log.
  const onError = (error: Error): void => session.note(`gibil mcp: ${error.message}\n`)
  await serveOverStdio(place, { input: stdin, output: stdout, version: cliVersion(), signal, onError })
}
