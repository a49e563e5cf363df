import type { Readable, Writable } from 'node:stream'
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio'
import { createServer } from '../server.ts'
import type { Workplace } from '../tool.ts'

export interface StdioOptions {
  readonly input: Readable
  readonly output: Writable
  readonly version: string
  readonly signal: AbortSignal
  /** What went wrong beside the protocol, for a person. */
  readonly onError: (error: Error) => void
}

/** Serves one client by lines of JSON until its side ends or the signal aborts. Commands that it started go on. */
export async function serveOverStdio(
  place: Workplace,
  { input, output, version, signal, onError }: StdioOptions,
): Promise<void> {
  const ended = Promise.withResolvers<void>()
  input.once('end', ended.resolve).once('close', ended.resolve)
  signal.addEventListener('abort', () => ended.resolve(), { once: true })
  const transport = new StdioServerTransport(input, output)
  const handle = serveStdio(() => createServer(place, version), { transport, onerror: onError })
  await ended.promise
  await handle.close()
}
