import { Exit, FrameType, GibilError, type RunCommand, type RunResult } from '@gibil/contract'
import type { Api } from '../api.ts'
import { startRequest } from './start-request.ts'

const defaultMaxOutputBytes = 8 * 1024 * 1024

/**
 * Runs a command to its end and collects what it prints. Whoever asked may go away first: then nobody could ever see the
 * result, so the whole process group is killed.
 */
export async function runCommand(
  { boxd, metrics }: Pick<Api, 'boxd' | 'metrics'>,
  box: string,
  { stdin, maxOutputBytes = defaultMaxOutputBytes, ...command }: RunCommand,
  signal: AbortSignal,
): Promise<RunResult> {
  const begin = performance.now()
  const stream = await boxd(box, signal).openCommand({ ...startRequest(command), stdin: stdin !== undefined })
  const out = collector(maxOutputBytes)
  const err = collector(maxOutputBytes)
  const kill = (): void => {
    void stream
      .send(FrameType.signal, Buffer.from(JSON.stringify({ signal: 'SIGKILL', group: true })))
      .catch(() => undefined)
      .finally(() => stream.close())
  }
  signal.addEventListener('abort', kill, { once: true })
  try {
    if (signal.aborted) kill()
    if (stdin !== undefined) void feed(stream, stdin)
    for await (const { type, payload } of stream) {
      if (type === FrameType.stdout) out.add(payload)
      else if (type === FrameType.stderr) err.add(payload)
      else if (type === FrameType.exit) {
        metrics.ran((performance.now() - begin) / 1000)
        const exit = Exit.parse(JSON.parse(payload.toString()))
        return { ...exit, stdout: out.text(), stderr: err.text(), truncated: out.cut() || err.cut() }
      }
    }
    signal.throwIfAborted()
    throw new GibilError('boxd_unreachable', 'The connection to the box ended before the command did.')
  } finally {
    signal.removeEventListener('abort', kill)
    if (!signal.aborted) stream.close()
  }
}
