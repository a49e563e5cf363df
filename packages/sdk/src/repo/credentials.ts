import { tryGit } from './git.ts'

/** The token that the user's own git would use for an https address; asked for only when the user says so. */
export async function tokenFromGit(url: string, signal?: AbortSignal): Promise<string | undefined> {
  const { protocol, host, pathname } = new URL(url)
  const input = `protocol=${protocol.slice(0, -1)}\nhost=${host}\npath=${pathname.slice(1)}\n\n`
  const env = { GIT_ASKPASS: 'true', SSH_ASKPASS: 'true' }
  const result = await tryGit(['credential', 'fill'], { cwd: '/', input, env, signal })
  if (result.status !== 0) return undefined
  return /^password=(.+)$/m.exec(result.stdout)?.[1]
}
