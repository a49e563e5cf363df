import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { parse } from 'smol-toml'
import * as z from 'zod'
import { readToken } from './token-file.ts'

/** As the CLI `hcloud` writes it: tokens by the name of a context, one of which is the active one. */
const HcloudConfig = z.object({
  active_context: z.string().optional(),
  contexts: z.array(z.object({ name: z.string(), token: z.string() })).default([]),
})

type Env = Readonly<Record<string, string | undefined>>

/** Where the API is: `HCLOUD_ENDPOINT`, or Hetzner's own. */
export const hetznerEndpoint = (env: Env): string => env['HCLOUD_ENDPOINT'] || 'https://api.hetzner.cloud/v1'

/**
 * The token of the project in Hetzner Cloud: `HCLOUD_TOKEN`, or that which `gibil init` left in the home, or that of the active context of the CLI `hcloud`
 * (`HCLOUD_CONTEXT`, `HCLOUD_CONFIG`, else `~/.config/hcloud/cli.toml`). Undefined when there is none.
 * Throws `invalid_config` for a file that cannot be understood.
 */
export function findToken(env: Env, home: string): string | undefined {
  const given = env['HCLOUD_TOKEN']?.trim() || readToken(home)
  if (given) return given
  const path =
    env['HCLOUD_CONFIG'] ??
    join(env['XDG_CONFIG_HOME'] ?? join(env['HOME'] ?? homedir(), '.config'), 'hcloud', 'cli.toml')
  const text = readOrNothing(path)
  if (text === undefined) return undefined
  const config = understand(path, text)
  const name = env['HCLOUD_CONTEXT'] ?? config.active_context
  return config.contexts.find((context) => context.name === name)?.token
}

/** Throws `cloud_unauthorized` where there is no token. */
export function requireToken(env: Env, home: string): string {
  const token = findToken(env, home)
  if (token !== undefined) return token
  throw new GibilError('cloud_unauthorized', 'There is no token for Hetzner Cloud.', {
    hint: 'Make one (Read & Write) in the console of the project, and give it by `gibil init --hcloud-token -`, or start the daemon with HCLOUD_TOKEN.',
  })
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function understand(path: string, text: string): z.infer<typeof HcloudConfig> {
  try {
    return HcloudConfig.parse(parse(text))
  } catch (error) {
    // The text holds tokens, and an error of the parser quotes it.
    const where = error instanceof Error && 'line' in error ? ` (line ${error.line})` : ''
    throw new GibilError('invalid_config', `${path} is no configuration of hcloud${where}.`, {
      hint: 'Correct it, or set HCLOUD_TOKEN.',
    })
  }
}
