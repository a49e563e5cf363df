import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { GibilError } from '@gibil/contract'

/** What a `--repo` means: an address that the box clones, one that this machine clones, or a directory here. */
export type RepoSource =
  | { readonly kind: 'https'; readonly url: string; readonly token: string | undefined }
  | { readonly kind: 'ssh'; readonly url: string }
  | { readonly kind: 'local'; readonly path: string }

const scp = /^[\w.-]+@[\w.-]+:(?!\/\/)\S+$/
const hosted = /^(?:[a-z0-9-]+\.)+[a-z0-9-]+(?::\d+)?\/\S+$/i
const forges: Readonly<Record<string, string>> = {
  github: 'github.com',
  gh: 'github.com',
  gitlab: 'gitlab.com',
  bitbucket: 'bitbucket.org',
}

/**
 * Reads `https://…`, `git@host:you/project`, `ssh://…`, `github.com/you/project`, `github:you/project`, `you/project`
 * (on GitHub), or a path. Credentials in an https address are taken out of it and become the token.
 * Throws `invalid_repo`.
 */
export function parseRepo(text: string, cwd: string): RepoSource {
  const input = text.trim()
  if (input === '' || input.startsWith('-') || hasControl(input)) throw invalid(text)
  if (/^https?:\/\//i.test(input)) return fromUrl(input)
  if (/^(?:git\+)?ssh:\/\//i.test(input)) return { kind: 'ssh', url: input.replace(/^git\+/i, '') }
  if (/^file:\/\//i.test(input)) return { kind: 'local', path: decodeURIComponent(new URL(input).pathname) }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(input)) throw invalid(text)
  if (/^(?:\.{1,2}|~)?\//.test(input) || input === '.' || input === '..' || input === '~') return local(input, cwd)
  if (scp.test(input)) return { kind: 'ssh', url: input }
  const short = /^([a-z]+):([\w.-]+\/[\w./-]+)$/.exec(input)
  const forge = short?.[1] === undefined ? undefined : forges[short[1]]
  if (forge) return fromUrl(`https://${forge}/${short?.[2]}`)
  if (hosted.test(input)) return fromUrl(`https://${input}`)
  if (existsSync(resolve(cwd, input))) return local(input, cwd)
  if (/^[\w.-]+\/[\w.-]+$/.test(input)) return fromUrl(`https://github.com/${input}`)
  throw invalid(text)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const hasControl = (text: string): boolean => /[\u0000-\u001f\u007f]/.test(text)

const invalid = (text: string): GibilError =>
  new GibilError('invalid_repo', `"${redactUrl(text)}" is neither the address of a repository nor a directory here.`)

function local(input: string, cwd: string): RepoSource {
  const path = input === '~' || input.startsWith('~/') ? join(homedir(), input.slice(1)) : resolve(cwd, input)
  if (existsSync(path)) return { kind: 'local', path }
  throw new GibilError('invalid_repo', `There is no directory ${path} on this machine.`)
}

function fromUrl(text: string): RepoSource {
  if (!URL.canParse(text)) throw invalid(text)
  const url = new URL(text)
  // `https://TOKEN@host/…` and `https://x-access-token:TOKEN@host/…` are both usual.
  const token = decodeURIComponent(url.password || url.username) || undefined
  url.username = ''
  url.password = ''
  if (url.pathname.replaceAll('/', '') === '') throw invalid(text)
  return { kind: 'https', url: url.href, token }
}

/** An address as it may be shown and kept: without a password, and for http without a user either. */
export function redactUrl(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text)) return text
  const url = new URL(text)
  if (/^https?:$/.test(url.protocol)) url.username = ''
  url.password = ''
  return url.href
}
