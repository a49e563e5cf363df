import { Exit, FrameType, GibilError, type RunCommand, type RunResult } from '@gibil/contract'
import type { Api } from '../api.ts'
import type { CommandChannel } from '../boxd-api.ts'
import { collectOutput } from './output-collector.ts'
import { startRequest } from './start-request.ts'

const defaultMaxOutputBytes = 8 * 1024 * 1024
const stdinChunkBytes = 256 * 1024
const killGroup = Buffer.from(JSON.stringify({ signal: 'SIGKILL', group: true }))

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
  const request = { ...startRequest(command), ...(stdin === undefined ? {} : { stdin: true }) }
  // Not ended by the signal: the connection is what the kill is sent on.
  const channel = await boxd(box).openCommand(request)
  const kill = (): void => {
    channel.send(FrameType.signal, killGroup).then(
      () => channel.close(),
      () => channel.close(),
    )
  }
  signal.addEventListener('abort', kill, { once: true })
  if (signal.aborted) kill()
  try {
    // Input that a command does not read must not keep its output from being read.
    if (stdin !== undefined) feed(channel, Buffer.from(stdin)).catch(() => undefined)
    const result = await collect(channel, maxOutputBytes)
    metrics.ran((performance.now() - begin) / 1000)
    return result
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', kill)
    if (!signal.aborted) channel.close()
  }
}

async function collect(channel: CommandChannel, maxOutputBytes: number): Promise<RunResult> {
  const out = collectOutput(maxOutputBytes)
  const err = collectOutput(maxOutputBytes)
  for await (const { type, payload } of channel) {
    if (type === FrameType.stdout) out.add(payload)
    else if (type === FrameType.stderr) err.add(payload)
    else if (type === FrameType.error) {
      throw GibilError.fromBody(JSON.parse(payload.toString()), 'The command could not go on.')
    } else if (type === FrameType.exit) {
      const exit = Exit.parse(JSON.parse(payload.toString()))
      return { ...exit, stdout: out.text(), stderr: err.text(), truncated: out.cut() || err.cut() }
    }
  }
  throw new GibilError('boxd_unreachable', 'The connection to the box ended before the command did.')
}

async function feed(channel: CommandChannel, input: Buffer): Promise<void> {
  for (let at = 0; at < input.length; at += stdinChunkBytes) {
    await channel.send(FrameType.stdin, input.subarray(at, at + stdinChunkBytes))
  }
  await channel.send(FrameType.stdinEnd, new Uint8Array())
}
