import type { Duplex } from 'node:stream'
import type { ReadyCheck, Service } from '../gibil-yml/config.ts'
import type { Clock } from '../ports/clock.ts'
import { abortable, within } from '../util/timing.ts'
import type { SetupRun } from './commands.ts'
import { readyRequest } from './service-command.ts'

/** One try may take so long. */
const tryMs = 5000

/** Whether a service is ready now. `printed` is what it has printed so far. Never throws for a service that is not ready yet. */
export async function isReady(
  run: SetupRun,
  clock: Clock,
  service: Service,
  check: ReadyCheck,
  printed: string,
): Promise<boolean> {
  if (check.kind === 'log') return printed.includes(check.text)
  const attempt =
    check.kind === 'command'
      ? run.boxd
          .exec({ ...readyRequest(run, service, check.command), timeoutMs: tryMs }, () => undefined, run.signal)
          .then(({ exitCode }) => exitCode === 0)
      : check.kind === 'port'
        ? answersOnPort(run, check.port)
        : answersHttp(run, check.port, check.path)
  const result = await abortable(within(clock, tryMs + 500, 'A ready check', attempt), run.signal).catch(() => false)
  run.signal.throwIfAborted()
  return result
}

async function answersOnPort(run: SetupRun, port: number): Promise<boolean> {
  const stream = await run.boxd.dialPort(port)
  stream.on('error', () => undefined)
  stream.destroy()
  return true
}

/** HTTP/1.0, since nothing but the status line is of interest: 200 to 399 means ready. */
async function answersHttp(run: SetupRun, port: number, path: string): Promise<boolean> {
  const stream = await run.boxd.dialPort(port)
  try {
    stream.write(`GET ${path} HTTP/1.0\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`)
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(await firstBytes(stream))?.[1]
    return status !== undefined && Number(status) >= 200 && Number(status) < 400
  } finally {
    stream.destroy()
  }
}

function firstBytes(stream: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.on('error', reject)
    stream.on('close', () => resolve(text))
    stream.on('data', (chunk: Uint8Array) => {
      text += Buffer.from(chunk).toString('latin1')
      if (text.length >= 12) resolve(text)
    })
  })
}
