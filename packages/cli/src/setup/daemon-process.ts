import { spawn } from 'node:child_process'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Gibil, GibilError } from '@gibil/sdk'
import { daemonEntry } from './source-tree.ts'

export interface DaemonProcess {
  readonly pid: number
  readonly version: string
}

const startDeadlineMs = 20_000

/** The daemon of this home if it answers. */
export async function runningDaemon(home: string): Promise<DaemonProcess | undefined> {
  await using gibil = Gibil.connect({ home })
  return gibil.version().catch(() => undefined)
}

/**
 * Starts the daemon in the background, detached from this terminal, and waits until it answers. What it says before its
 * own log is open goes to `gibild.out` in the home, whose end is in the error when it does not come up.
 */
export async function startDaemon(home: string): Promise<DaemonProcess> {
  await mkdir(home, { recursive: true, mode: 0o700 })
  const outputPath = join(home, 'gibild.out')
  const output = await open(outputPath, 'w', 0o600)
  const child = spawn(process.execPath, [daemonEntry, '--home', home], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
  })
  let exited: number | string | undefined
  child.once('exit', (code, signal) => {
    exited = code ?? signal ?? 'unknown'
  })
  try {
    const deadline = Date.now() + startDeadlineMs
    while (Date.now() < deadline && exited === undefined) {
      const daemon = await runningDaemon(home)
      if (daemon) return daemon
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
    ? `The daemon was started but did not answer within ${startDeadlineMs / 1000} s.`
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
