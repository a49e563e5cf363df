import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { execa } from 'execa'

interface ToolResult {
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program of the host to its end. Throws `missing_tool` when there is no such program, `timeout` when it hangs. */
export type RunTool = (file: string, args: readonly string[], input?: string) => Promise<ToolResult>

/** The directories in which distributions put the programs that are needed here. */
export const hostPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const timeoutMs = 30_000

export const runTool: RunTool = async (file, args, input = '') => {
  const result = await execa(file, args, {
    input,
    reject: false,
    env: { PATH: hostPath, LC_ALL: 'C.UTF-8' },
    extendEnv: false,
    timeout: timeoutMs,
    maxBuffer: 1024 * 1024,
    stripFinalNewline: false,
  })
  if (result.code === 'ENOENT') throw new GibilError('missing_tool', `The program ${file} is not installed.`)
  if (result.timedOut) throw new GibilError('timeout', `${file} did not end within ${timeoutMs / 1000} s.`)
  return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr }
}

/** Runs a program and returns what it printed. Throws `driver_failed` with the end of its stderr when it fails. */
export async function mustRun(run: RunTool, file: string, args: readonly string[], input?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await run(file, args, input)
  if (exitCode === 0) return stdout
  throw new GibilError('driver_failed', `${file} failed: ${lastLine(stderr)}`, {
    details: { command: [file, ...args].join(' '), exitCode: exitCode ?? null, stderr: stderr.slice(-4096) },
  })
}

export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 500) || 'it gave no reason'
}

/** The path of a program of the host, or undefined. */
export function locate(name: string): string | undefined {
  if (name.includes('/')) return existsSync(name) ? name : undefined
  return hostPath
    .split(':')
    .map((directory) => join(directory, name))
    .find((path) => existsSync(path))
}
