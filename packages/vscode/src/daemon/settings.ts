import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ConnectOptions } from '@gibil/sdk'
import { type SecretStorage, workspace } from 'vscode'

const text = (name: string): string => (workspace.getConfiguration('gibil').get<string>(name) ?? '').trim()
const expand = (path: string): string => (/^~(\/|$)/.test(path) ? join(homedir(), path.slice(1)) : path)

const tokenKey = 'gibil.token'

/** Where the settings say that the daemon is; what they leave open is found as the CLI finds it. */
export async function connectOptions(secrets: SecretStorage): Promise<ConnectOptions> {
  const url = text('url')
  const home = text('home')
  if (url !== '') return { url, token: await secrets.get(tokenKey) }
  return home === '' ? { token: await secrets.get(tokenKey) } : { home: expand(home) }
}

export const keepToken = (secrets: SecretStorage, token: string): Thenable<void> =>
  token === '' ? secrets.delete(tokenKey) : secrets.store(tokenKey, token)

export const gibilCommand = (): string => expand(text('command')) || 'gibil'

/** See `endingSoon`. */
export const askBeforeEnd = (): string => text('askBeforeEnd')
