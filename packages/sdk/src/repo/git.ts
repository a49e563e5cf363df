import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'

export interface GitOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly input?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Let git and ssh ask on the terminal. */
  readonly interactive?: boolean | undefined
}

const maxOutputBytes = 64 * 1024 * 1024
const maxErrorBytes = 16 * 1024

export interface GitResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs git on this machine to its end, whatever its exit status. Throws `missing_tool` when there is no git. */
export function tryGit(args: readonly string[], options: GitOptions): Promise<GitResult> {
  return new Promise((resolve, reject) => {
    const child = startGit(args, options)
    const out: Buffer[] = []
    const err: Buffer[] = []
    let outBytes = 0
    let errBytes = 0
    child.stdout?.on('data', (chunk: Buffer) => {
      outBytes += chunk.length
      if (outBytes > maxOutputBytes) child.kill('SIGKILL')
      else out.push(chunk)
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      if (errBytes < maxErrorBytes) err.push(chunk)
      errBytes += chunk.length
    })
    child.once('error', (error: NodeJS.ErrnoException) => reject(startError(error, options.signal)))
    child.once('close', (code) => {
      if (outBytes > maxOutputBytes)
        return reject(new GibilError('payload_too_large', `git ${args[0]} printed too much.`))
      resolve({
        status: code ?? 255,
        stdout: Buffer.concat(out).toString('utf8'),
        stderr: Buffer.concat(err).toString('utf8'),
      })
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}

/** The same, for a call that has to succeed; gives stdout. */
export async function git(args: readonly string[], options: GitOptions): Promise<string> {
  const result = await tryGit(args, options)
  if (result.status === 0) return result.stdout
  const said = result.stderr.trim()
  throw new GibilError(
    'invalid_repo',
    `git ${args.find((arg) => !arg.startsWith('-'))} failed: ${said.split('\n').at(-1) ?? ''}`,
    {
      hint: 'Check that the directory is a healthy git repository: `git status`.',
      details: { log: said },
    },
  )
}

/** Output of git line by NUL-ended line, as it comes; for lists that may be long. */
export async function* gitRecords(args: readonly string[], options: GitOptions): AsyncGenerator<string> {
  const child = startGit(args, options)
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => reject(startError(error, options.signal)))
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new GibilError('invalid_repo', `git ${args[0]} ended with status ${code}.`))
    })
  })
  ended.catch(() => {})
  child.stdin?.on('error', () => {})
  child.stdin?.end()
  child.stderr?.resume()
  let rest = Buffer.alloc(0)
  try {
    for await (const chunk of child.stdout as Readable satisfies AsyncIterable<Buffer>) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (let end = rest.indexOf(0); end !== -1; end = rest.indexOf(0)) {
        yield rest.toString('utf8', 0, end)
        rest = rest.subarray(end + 1)
      }
    }
    await ended
  } finally {
    child.kill()
  }
}

function startGit(args: readonly string[], { cwd, env, signal, interactive }: GitOptions): ChildProcess {
  const { GIT_DIR: _dir, GIT_WORK_TREE: _tree, GIT_INDEX_FILE: _index, ...inherited } = process.env
  return spawn('git', [...args], {
    cwd,
    env: {
      ...inherited,
      LC_ALL: 'C',
      GIT_OPTIONAL_LOCKS: '0',
      ...(interactive ? {} : { GIT_TERMINAL_PROMPT: '0' }),
      ...env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(signal ? { signal } : {}),
  })
}

function startError(error: NodeJS.ErrnoException, signal: AbortSignal | undefined): GibilError {
  if (signal?.aborted) return new GibilError('cancelled', 'The call was cancelled.', { cause: error })
  if (error.code !== 'ENOENT') return GibilError.from(error)
  return new GibilError('missing_tool', 'git could not be started on this machine.', {
    hint: 'Install git, or give the https address of a public repository.',
    cause: error,
  })
}
