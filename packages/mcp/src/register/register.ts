import { randomBytes } from 'node:crypto'
import { access, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { GibilError } from '@gibil/sdk'
import { stringify } from 'smol-toml'
import type { Entry } from './entry.ts'
import { withJsonEntry } from './json-config.ts'
import { withTomlEntry } from './toml-config.ts'

/** How the server is started. */
export interface ServerCommand {
  readonly command: string
  readonly args: readonly string[]
}

const serverName = 'gibil'

interface McpClient {
  readonly title: string
  /** Its config, below the home directory of the user, and what is there when the program is. */
  readonly path: string
  readonly sign: string
  /** The text with our entry in it, made of the text before. */
  write(path: string, before: string, server: ServerCommand): string
}

const jsonClient =
  (key: string, entryOf: (server: ServerCommand) => Entry): McpClient['write'] =>
  (path, before, server) =>
    withJsonEntry(path, before, key, serverName, entryOf(server))

const typed = ({ command, args }: ServerCommand): Entry => ({ type: 'stdio', command, args })
const plain = ({ command, args }: ServerCommand): Entry => ({ command, args })

/** Programs that start MCP servers, and where each reads which (as of their documentation in November 2026). */
export const mcpClients = {
  claude: { title: 'Claude Code', path: '.claude.json', sign: '.claude.json', write: jsonClient('mcpServers', typed) },
  cursor: { title: 'Cursor', path: '.cursor/mcp.json', sign: '.cursor', write: jsonClient('mcpServers', plain) },
  vscode: {
    title: 'VS Code',
    path: '.config/Code/User/mcp.json',
    sign: '.config/Code/User',
    write: jsonClient('servers', typed),
  },
  codex: {
    title: 'Codex',
    path: '.codex/config.toml',
    sign: '.codex',
    write: (path, before, server) => withTomlEntry(path, before, serverName, plain(server)),
  },
} as const satisfies Record<string, McpClient>
export type McpClientName = keyof typeof mcpClients

export interface Registered {
  readonly client: McpClientName
  readonly title: string
  readonly path: string
  readonly result: 'written' | 'unchanged'
}

/** Those that this user has. */
export async function clientsOf(home: string): Promise<McpClientName[]> {
  const found: McpClientName[] = []
  for (const [name, { sign }] of Object.entries(mcpClients)) {
    if (await exists(join(home, sign))) found.push(name as McpClientName)
  }
  return found
}

/**
 * Writes our entry into the config of one client; what else is there stays as it is, and the file is replaced whole or not at all. Throws
 * `invalid_config` for one that cannot be read, which is left alone.
 */
export async function register(client: McpClientName, home: string, server: ServerCommand): Promise<Registered> {
  const { title, path: below, write } = mcpClients[client]
  const named = join(home, below)
  // People keep such files elsewhere and link to them.
  const path = await realpath(named).catch(() => named)
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new GibilError('invalid_config', `${path} cannot be read: ${error.message}.`, { cause: error })
  })
  const after = write(path, before ?? '', server)
  if (after === before) return { client, title, path, result: 'unchanged' }
  await replace(path, before, after)
  return { client, title, path, result: 'written' }
}

/** What belongs into the config of a client, for people to put there by hand. */
export const configText = (client: McpClientName, server: ServerCommand): string =>
  client === 'codex'
    ? `${stringify({ mcp_servers: { [serverName]: plain(server) } }).trim()}\n`
    : mcpClients[client].write(mcpClients[client].path, '', server)

async function replace(path: string, before: string | undefined, after: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const mode = before === undefined ? 0o600 : (await stat(path)).mode & 0o777
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await writeFile(temporary, after, { mode, flag: 'wx' })
    // The program whose file it is may have written it in between.
    const now = await readFile(path, 'utf8').catch(() => undefined)
    if (now !== before) {
      throw new GibilError('file_conflict', `${path} was written by another program just now.`, { hint: 'Call again.' })
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
