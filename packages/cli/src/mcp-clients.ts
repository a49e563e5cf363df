import { homedir } from 'node:os'
import { join } from 'node:path'
import type { McpClientName, Registered, ServerCommand } from '@gibil/mcp'
import { GibilError, gibilHome } from '@gibil/sdk'
import type { Session } from './session.ts'
import { sourceRoot } from './setup/source-tree.ts'

/** How an MCP client starts the server for the daemon of this session. Clients pass no environment on, so the home is an argument where it is not the usual one. */
export function serverCommand({ home, env }: Pick<Session, 'home' | 'env'>): ServerCommand {
  const usual = gibilHome({ env: { ...env, GIBIL_HOME: undefined } })
  return { command: join(sourceRoot, 'gibil'), args: ['mcp', ...(home === usual ? [] : ['--home', home])] }
}

/** Throws `invalid_request`. */
export async function clientNamed(name: string): Promise<McpClientName> {
  const { mcpClients } = await import('@gibil/mcp')
  if (Object.hasOwn(mcpClients, name)) return name as McpClientName
  throw new GibilError('invalid_request', `"${name}" is no client that is known.`, {
    hint: `Name one of ${Object.keys(mcpClients).join(', ')}.`,
  })
}

/**
 * Registers the tools of `gibil mcp` with clients: those of a list with commas, or with `all` those that this user has. A config that cannot be
 * read is told and left alone, and does not keep the others from theirs; then this throws `invalid_config` at the end.
 */
export async function registerWith(session: Session, list: string): Promise<Registered[]> {
  const { clientsOf, mcpClients, register } = await import('@gibil/mcp')
  const home = session.env['HOME'] ?? homedir()
  const names =
    list === 'all' ? await clientsOf(home) : await Promise.all(list.split(',').map((name) => clientNamed(name.trim())))
  if (names.length === 0) {
    session.note(`No client was found; name one: ${Object.keys(mcpClients).join(', ')}.\n`)
  }
  const done: Registered[] = []
  let failure: unknown
  for (const name of names) {
    try {
      const registered = await register(name, home, serverCommand(session))
      done.push(registered)
      session.note(`${session.colors.green('✓')} ${registered.title}: ${registered.result}, ${registered.path}\n`)
    } catch (error) {
      session.note(`${session.colors.red('✗')} ${mcpClients[name].title}: ${GibilError.from(error).message}\n`)
      failure ??= error
    }
  }
  if (failure !== undefined) throw failure
  return done
}
