import { spawn } from 'node:child_process'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Gibil, GibilError, type Version } from '@gibil/sdk'
import { cliVersion } from '../cli-version.ts'
import { daemonEntry } from './source-tree.ts'

export interface DaemonProcess {
  readonly pid: number
  readonly version: string
  readonly shapes: Version['shapes']
}

/** What `config.yml` says of it. */
export interface DaemonSettings {
  /** Spare boxes made ahead, at most. */
  readonly pool?: number | undefined
  /** The port on 127.0.0.1 where published ports are served. */
  readonly proxy?: number | 'off' | undefined
  /** The port, or address and port, where stock ssh reaches boxes. */
  readonly ssh?: number | string | undefined
}

const deadlineMs = 20_000

/** The daemon of this home if it answers; `other` when it is of another version than this CLI. */
export async function runningDaemon(home: string): Promise<DaemonProcess | 'other' | undefined> {
  await using gibil = Gibil.connect({ home })
  try {
    const daemon = await gibil.version()
    return daemon.version === cliVersion() ? daemon : 'other'
  } catch (error) {
    // An answer that this version does not understand is that of another one.
    return GibilError.is(error) && error.code === 'daemon_unreachable' ? undefined : 'other'
  }
}

/** Ends the daemon of this home, of whatever version, and waits until its process is gone. Boxes go on. */
export async function stopDaemon(home: string): Promise<void> {
  await using gibil = Gibil.connect({ home })
  const pid = await pidOf(home)
  await gibil.shutdown()
  const deadline = Date.now() + deadlineMs
  while ((await runningDaemon(home)) !== undefined || (pid !== undefined && processRuns(pid))) {
    if (Date.now() > deadline) {
      throw new GibilError('timeout', `The daemon of ${home} did not stop within ${deadlineMs / 1000} s.`, {
        hint: `See gibild.log in ${home}.`,
      })
    }
    await sleep(25)
  }
}

/** What the daemon of a home wrote down of itself; undefined for one on another machine. */
async function pidOf(home: string): Promise<number | undefined> {
  const text = await readFile(join(home, 'gibild.json'), 'utf8').catch(() => '{}')
  const pid = Number(/"pid":\s*(\d+)/.exec(text)?.[1])
  return Number.isInteger(pid) ? pid : undefined
}

function processRuns(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/**
 * Starts the daemon in the background, detached from this terminal, and waits until it answers. What it says before its
 * own log is open goes to `gibild.out` in the home, whose end is in the error when it does not come up.
 */
export async function startDaemon(home: string, given: DaemonSettings = {}): Promise<DaemonProcess> {
  await mkdir(home, { recursive: true, mode: 0o700 })
  const settings = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  )
  const outputPath = join(home, 'gibild.out')
  const output = await open(outputPath, 'w', 0o600)
  const child = spawn(process.execPath, [daemonEntry, '--home', home, ...settings], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
  })
  let exited: number | string | undefined
  child.once('exit', (code, signal) => {
    exited = code ?? signal ?? 'unknown'
  })
  try {
    const deadline = Date.now() + deadlineMs
    while (Date.now() < deadline && exited === undefined) {
      const daemon = await runningDaemon(home)
      // It answers a moment before it has written down where it is, and the file of one that was killed names another process.
      if (daemon !== undefined && daemon !== 'other' && (await pidOf(home)) === daemon.pid) return daemon
      await sleep(25)
    }
    throw new GibilError('daemon_unreachable', startFailure(exited), {
      hint: `Read ${outputPath} and ${join(home, 'gibild.log')}, and run \`./gibil doctor\`.`,
      details: { log: await endOf(outputPath) },
    })
  } finally {
    child.unref()
    await output.close()
  }
}

const startFailure = (exited: number | string | undefined): string =>
  exited === undefined
    ? `The daemon was started but did not answer within ${deadlineMs / 1000} s.`
    : `The daemon ended at its start (${exited}).`

async function endOf(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const length = Math.min(size, 4096)
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.toString('utf8')
  } finally {
    await file.close()
  }
}
