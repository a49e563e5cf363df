import { GibilError } from './errors.ts'

/** Where a repository is, as a person wrote it. */
export interface RepoAddress {
  /** `https` (and `http`) is cloned inside the box; `ssh` needs the keys of the caller; `local` is a path of the caller. */
  readonly kind: 'https' | 'ssh' | 'local'
  /** What git is given, or the path; never holds a password. */
  readonly url: string
  /** User and password that stood in the address. */
  readonly credentials: { readonly username: string; readonly password: string } | null
}

const refuse = (text: string, why: string, hint?: string): never => {
  throw new GibilError('invalid_repo', `"${text}" is not a repository: ${why}.`, { hint })
}

/**
 * Reads `https://…`, `github.com/you/project`, `git@host:you/project`, `ssh://…` or a local path (`.`, `./x`, `/x`, `~/x`,
 * `file:///x`). Throws `invalid_repo`.
 */
export function parseRepo(text: string): RepoAddress {
  const input = text.trim()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be in it
  const shown = withoutCredentials(input.slice(0, 200)).replace(/[\u0000-\u001f\u007f]/g, '?')
  if (input === '') refuse(shown, 'it is empty')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a line end or NUL could end an argument of git early
  if (/[\u0000-\u001f\u007f]/.test(input)) refuse(shown, 'it holds a control character')
  if (input.startsWith('-')) refuse(shown, 'it starts with "-"')
  if (/^(\.{1,2}(\/|$)|\/|~(\/|$))/.test(input)) return { kind: 'local', url: input, credentials: null }
  if (/^https?:\/\//i.test(input)) return fromHttps(input, shown)
  if (/^ssh:\/\//i.test(input)) return fromSsh(input, shown)
  if (/^file:\/\//i.test(input)) return fromFile(input, shown)
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(input)?.[1]
  if (scheme !== undefined) refuse(shown, `git over ${scheme} is not supported`)
  if (/\s/.test(input)) refuse(shown, 'it holds a space')
  if (/^[^/:@]+:[^/]*@/.test(input)) refuse(shown, 'a name and a password stand before the host, and no scheme')
  if (/^[A-Za-z0-9][\w-]*(\.[\w-]+)+(:\d+)?\/[^/]/.test(input)) return fromHttps(`https://${input}`, shown)
  // As git reads it: a colon before the first slash makes it host:path. After user@ the path may be absolute; without it,
  // `https:/x` is more likely an address with a slash too few.
  if (/^(?:[\w.-]+@[A-Za-z0-9][\w.-]*:(?!\/\/)[^\s:]|[A-Za-z0-9][\w.-]*:[^/\s:])\S*$/.test(input)) {
    return { kind: 'ssh', url: input, credentials: null }
  }
  if (/^[\w.-]+\/[\w.-]+$/.test(input)) {
    return refuse(shown, 'the host is missing', `Write github.com/${input}, or ./${input} for a local path.`)
  }
  return refuse(shown, 'it is neither an address nor a path')
}

const parseUrl = (input: string, shown: string): URL =>
  URL.canParse(input) ? new URL(input) : refuse(shown, 'the address cannot be read')

function fromHttps(input: string, shown: string): RepoAddress {
  const url = parseUrl(input, shown)
  if (url.pathname === '/' || url.pathname === '') refuse(shown, 'it names a host and no repository')
  const { username, password } = url
  url.username = ''
  url.password = ''
  url.hash = ''
  const credentials =
    username === '' && password === '' ? null : { username: decode(username, shown), password: decode(password, shown) }
  return { kind: 'https', url: url.href, credentials }
}

function fromSsh(input: string, shown: string): RepoAddress {
  const url = parseUrl(input, shown)
  if (url.hostname === '' || url.hostname.startsWith('-')) refuse(shown, 'it has no host')
  if (url.pathname === '/' || url.pathname === '') refuse(shown, 'it names a host and no repository')
  url.password = ''
  return { kind: 'ssh', url: url.href, credentials: null }
}

function fromFile(input: string, shown: string): RepoAddress {
  const url = parseUrl(input, shown)
  if (url.hostname !== '') refuse(shown, 'a file address names another host')
  return { kind: 'local', url: decode(url.pathname, shown), credentials: null }
}

function decode(part: string, shown: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return refuse(shown, 'it holds a broken % sequence')
  }
}

/**
 * An address without its `user:password@`, for messages and logs. Takes out also what only looks like a password to a person or to the
 * parser of WHATWG URLs, which drops tabs and line ends, reads `\\` as `/` and does not count slashes: too much rather than too little.
 */
export function withoutCredentials(text: string): string {
  const input = text.replace(/[\t\r\n]/g, '')
  // `me:password@host/x`, the scheme forgotten; `git@host:x` has its @ first.
  const bare = /^\s*[^\s/\\:@]+:[^/\\]*@/.exec(input)
  const scheme = /^\s*(?:[a-z][a-z0-9+.-]*:[/\\]{2,}|https?:[/\\]*)/i.exec(input)?.[0]
  if (scheme === undefined) return bare ? input.slice(bare[0].length) : withoutEmbedded(input)
  const rest = input.slice(scheme.length)
  const authority = /^[^/\\?#]*/.exec(rest)?.[0] ?? ''
  // What follows the colon is no port, but a password, which may hold a slash or an @.
  const isPassword = /:(?!\d{1,5}$)/.test(authority)
  const end = (isPassword ? rest : authority).lastIndexOf('@')
  return scheme + rest.slice(end + 1)
}

/** An address may also stand in the middle of a text. */
const withoutEmbedded = (text: string): string => text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^/?#\s]*@/gi, '$1')
