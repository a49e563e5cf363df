import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export function run(argv: readonly string[], options: { env?: NodeJS.ProcessEnv; cwd?: string } = {}): Promise<Ran> {
  const [program = '', ...args] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.once('error', reject)
    child.once('close', (code) =>
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(out).toString('utf8'),
        stderr: Buffer.concat(err).toString('utf8'),
      }),
    )
  })
}

/** The same, and throws unless it ends with status 0. Gives what it printed. */
export async function mustRun(
  argv: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options)
  if (code !== 0) throw new Error(`${argv.slice(0, 6).join(' ')} ended with ${code}: ${stderr.trim().slice(-2000)}`)
  return stdout
}

/** Memory of processes in bytes, shared pages counted by their share (PSS of proc_pid_smaps(5)); one that has ended counts as none. */
export const pssBytes = (pids: readonly number[]): Promise<number> => memoryOf(pids, 'Pss')

/** Memory of processes in bytes that they have written to and that nobody else has. */
export const privateDirtyBytes = (pids: readonly number[]): Promise<number> => memoryOf(pids, 'Private_Dirty')

async function memoryOf(pids: readonly number[], what: 'Pss' | 'Private_Dirty'): Promise<number> {
  const each = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
      return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024
    }),
  )
  return each.reduce((sum, bytes) => sum + bytes, 0)
}

/** Children, theirs, and so on. */
export async function descendants(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const tasks = await mustRun(['ps', '-o', 'pid=', '--ppid', String(pid)]).catch(() => text)
  const direct = tasks.split(/\s+/).filter(Boolean).map(Number)
  return [...direct, ...(await Promise.all(direct.map(descendants))).flat()]
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
