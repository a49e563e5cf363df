import { tryGit } from './git.ts'

/**
 * What may travel from a repository's config into a box. A list of what is allowed, not of what is bad: credential helpers,
 * extra headers, includes, insteadOf rules, hooks paths and whatever git invents next stay at home.
 */
const allowed: readonly RegExp[] = [
  /^core\.(?:repositoryformatversion|filemode|bare|symlinks|ignorecase|autocrlf|eol|sparsecheckout|sparsecheckoutcone|worktree|abbrev|quotepath)$/,
  /^extensions\.(?:objectformat|refstorage|compatobjectformat)$/,
  /^remote\.[^\n]+\.(?:fetch|tagopt|prune)$/,
  /^branch\.[^\n]+\.(?:remote|merge|rebase)$/,
  /^submodule\.[^\n]+\.(?:active|branch|update)$/,
  /^(?:pull|merge|init|push|diff|rebase)\.(?:rebase|ff|default|defaultbranch|autosetupremote|renames|autostash)$/,
  /^user\.(?:name|email)$/,
]
const urls = /^(?:remote|submodule)\.[^\n]+\.(?:url|pushurl)$/

/** A submodule's update mode may be a command (`!…`), which is not for a box. */
const harmless = (value: string): boolean => !value.startsWith('!')

/** The config of a repository as it travels: known settings only, and addresses without credentials. */
export async function cleanConfig(
  file: string,
  extra: Readonly<Record<string, string>> = {},
  without: ReadonlySet<string> = new Set(),
): Promise<string> {
  const listed = await tryGit(['config', '--file', file, '--no-includes', '--list', '-z'], { cwd: '/' })
  const settings: [string, string][] = []
  for (const record of listed.stdout.split('\0')) {
    const end = record.indexOf('\n')
    const key = end === -1 ? record : record.slice(0, end)
    const value = end === -1 ? 'true' : record.slice(end + 1)
    const kept = keep(key, value)
    if (kept !== undefined && !without.has(key)) settings.push([key, kept])
  }
  for (const [key, value] of Object.entries(extra)) {
    if (!settings.some(([name]) => name === key)) settings.push([key, value])
  }
  return settings.map(([key, value]) => formatSetting(key, value)).join('')
}

function keep(key: string, value: string): string | undefined {
  if (urls.test(lowerEnds(key))) return stripCredentials(value)
  return allowed.some((pattern) => pattern.test(lowerEnds(key))) && harmless(value) ? value : undefined
}

/** Section and variable names do not depend on case; the subsection between them does. */
function lowerEnds(key: string): string {
  const first = key.indexOf('.')
  const last = key.lastIndexOf('.')
  return key.slice(0, first).toLowerCase() + key.slice(first, last) + key.slice(last).toLowerCase()
}

function formatSetting(key: string, value: string): string {
  const first = key.indexOf('.')
  const last = key.lastIndexOf('.')
  const subsection = first === last ? '' : ` "${quote(key.slice(first + 1, last))}"`
  return `[${key.slice(0, first)}${subsection}]\n\t${key.slice(last + 1)} = "${quote(value)}"\n`
}

const quote = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\t', '\\t')

/** An address as it may travel: without a password, and for http without a user either, which may be a token. */
function stripCredentials(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text)) return text
  const url = new URL(text)
  if (/^https?:$/.test(url.protocol)) url.username = ''
  url.password = ''
  return url.href
}
