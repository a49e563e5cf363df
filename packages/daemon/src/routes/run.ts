import type { ServerResponse } from 'node:http'
import type { CommandChannel } from '@gibil/boxd-client'
import { FrameType, type RunCommand, type RunResult } from '@gibil/contract'
import type { Api } from '../api.ts'
import { commandResult, killOnAbort } from './command-result.ts'
import { collectOutput } from './output-collector.ts'
import { startRequest } from './start-request.ts'

const defaultMaxOutputBytes = 8 * 1024 * 1024
const stdinChunkBytes = 256 * 1024

/**
 * Runs a command to its end and collects what it prints. When the caller goes away first, the command is killed. The output is in memory
 * until the response has gone out, and that memory is the caller's budget: what is beyond it is cut.
 */
export async function runCommand(
  { boxd, metrics, output }: Pick<Api, 'boxd' | 'metrics' | 'output'>,
  box: string,
  { stdin, maxOutputBytes = defaultMaxOutputBytes, ...command }: RunCommand,
  { signal, response }: { readonly signal: AbortSignal; readonly response: ServerResponse },
): Promise<RunResult> {
  const begin = performance.now()
  const request = { ...startRequest(command), ...(stdin === undefined ? {} : { stdin: true }) }
  // Not ended by the signal: the connection is what the kill is sent on.
  const channel = await boxd(box).openCommand(request)
  const release = killOnAbort(channel, signal)
  const held = output.hold()
  response.once('close', held.release)
  const out = collectOutput(maxOutputBytes, held.take)
  const err = collectOutput(maxOutputBytes, held.take)
  try {
    // Input that a command does not read must not keep its output from being read.
    if (stdin !== undefined) feed(channel, Buffer.from(stdin)).catch(() => undefined)
    const exit = await commandResult(channel, (type, payload) => (type === FrameType.stdout ? out : err).add(payload))
    metrics.ran((performance.now() - begin) / 1000)
    return { ...exit, stdout: out.text(), stderr: err.text(), truncated: out.cut() || err.cut() }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    release()
    if (response.closed) held.release()
  }
}

async function feed(channel: CommandChannel, input: Buffer): Promise<void> {
  for (let at = 0; at < input.length; at += stdinChunkBytes) {
    await channel.send(FrameType.stdin, input.subarray(at, at + stdinChunkBytes))
  }
  await channel.send(FrameType.stdinEnd, new Uint8Array())
}
