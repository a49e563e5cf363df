import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Gibil } from '@gibil/sdk'
import { execa } from 'execa'

interface Result {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** The OpenSSH of this machine, with one key, one known host, and nothing of the user's own configuration. */
export interface OpenSsh {
  readonly config: string
  readonly key: string
  readonly port: number
  run(
    program: string,
    args: readonly string[],
    options?: { input?: string | Buffer; env?: Record<string, string> },
  ): Promise<Result>
  ssh(...args: readonly string[]): Promise<Result>
  start(...args: readonly string[]): ChildProcess
}

/** `host` becomes the box of that name. The gateway's port comes once the daemon has opened it. */
export async function openSsh(home: string, dir: string, key: string): Promise<OpenSsh> {
  await using gibil = Gibil.connect({ home })
  const { port, hostKey, problem } = await gibil.ssh()
  if (port === null) throw new Error(`The gateway does not listen: ${problem}`)
  const knownHosts = join(dir, 'known_hosts')
  await writeFile(knownHosts, `[127.0.0.1]:${port},[127.0.0.2]:${port} ${hostKey}\n`)
  const config = join(dir, 'config')
  await writeFile(
    config,
    `Host *
  HostName 127.0.0.1
  Port ${port}
  IdentityFile ${key}
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${knownHosts}
  GlobalKnownHostsFile /dev/null
`,
  )
  const env = { PATH: process.env['PATH'] ?? '', HOME: dir, LC_ALL: 'C.UTF-8' }
  const run: OpenSsh['run'] = async (program, args, options = {}) => {
    const result = await execa(program, args, {
      cwd: dir,
      env: { ...env, ...options.env },
      extendEnv: false,
      input: options.input ?? '',
      reject: false,
      stripFinalNewline: false,
      timeout: 60_000,
      maxBuffer: 200_000_000,
      encoding: 'latin1',
    })
    return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr }
  }
  return {
    config,
    key,
    port,
    run,
    ssh: (...args) => run('ssh', ['-F', config, ...args]),
    start: (...args) => spawn('ssh', ['-F', config, ...args], { cwd: dir, env, stdio: ['pipe', 'pipe', 'ignore'] }),
  }
}
