import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { GibilError } from '@gibil/contract'
import type { Connection } from './connection.ts'
import { streamOver } from './stream.ts'

export interface RunOptions {
  /** Each line of stdout and stderr, without its end; one longer than 16 KiB comes in pieces. What a machine prints is hostile text. */
  readonly onLine: (line: string) => void
  readonly input?: Readable | undefined
  /** Sends SIGTERM to the command, and rejects. What runs as another user than the one who logged in does not get it. */
  readonly signal?: AbortSignal | undefined
}

const longestLine = 16 * 1024

/**
 * Runs a command in the login shell, which is one of POSIX, to its end. It ends with the connection. Returns its exit code, 255 when a signal ended it (as ssh(1)). Throws
 * `boxd_unreachable`, `cancelled`.
 */
export async function run(connection: Connection, command: string, options: RunOptions): Promise<number> {
  const { onLine, input, signal } = options
  if (signal?.aborted) throw cancelled(signal)
  // Once stdin was ended ssh2 sends no signal any more, so a command without input gets another one.
  const channel = await connection.exec(input ? command : `exec < /dev/null\n${command}`)
  const stream = streamOver(channel, connection)
  return await new Promise<number>((resolve, reject) => {
    const onAbort = (): void => {
      channel.signal('TERM')
      stream.destroy(signal ? cancelled(signal) : undefined)
    }
    const finish = (settle: () => void): void => {
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    stream.once('error', (error) => finish(() => reject(GibilError.from(error, 'boxd_unreachable'))))
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    const out = splitter(onLine)
    const err = splitter(onLine)
    channel.stderr.on('data', err.take)
    stream.on('data', out.take)
    // The close of the channel comes after all output, and has the exit code: that of a short command may have come by itself before anybody
    // listened. A stream that is destroyed before has failed.
    channel.once('close', (status?: number | null) => {
      if (stream.errored) return
      setImmediate(() => {
        out.end()
        err.end()
        finish(() => resolve(status ?? 255))
        stream.destroy()
      })
    })
    if (input) {
      // A command that ends early does not read the rest; its exit code tells why.
      input.once('error', (error) => stream.destroy(error))
      input.pipe(stream)
    }
  })
}

function splitter(onLine: (line: string) => void): { take: (chunk: Buffer) => void; end: () => void } {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  return {
    take(chunk) {
      const lines = (rest + decoder.write(chunk)).split(/\r?\n/)
      rest = lines.pop() ?? ''
      for (const line of lines) onLine(line)
      for (; rest.length > longestLine; rest = rest.slice(longestLine)) onLine(rest.slice(0, longestLine))
    },
    end() {
      rest += decoder.end()
      if (rest) onLine(rest)
      rest = ''
    },
  }
}

export const cancelled = (signal: AbortSignal): GibilError =>
  GibilError.is(signal.reason)
    ? signal.reason
    : new GibilError('cancelled', 'The connection to the box was given up.', { cause: signal.reason })
