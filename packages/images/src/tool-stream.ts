import { GibilError } from '@gibil/contract'
import { execa } from 'execa'
import { type HostEnv, throwIfAborted, toolEnv } from './tool.ts'

const maxTail = 4096

/** The output of a program of the host, no faster than it is read; after its end, a failure of the program is thrown. */
export async function* toolStream(
  argv: readonly string[],
  options: { env: HostEnv; signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  throwIfAborted(options.signal)
  const [file = '', ...args] = argv
  const child = execa(file, args, {
    reject: false,
    buffer: false,
    encoding: 'buffer',
    extendEnv: false,
    env: toolEnv(options.env),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    killSignal: 'SIGKILL',
    ...(options.signal ? { cancelSignal: options.signal } : {}),
  })
  let tail = Buffer.alloc(0)
  child.stderr?.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-maxTail)
  })
  try {
    for await (const chunk of child.stdout) yield chunk
    const { exitCode, cause } = await child
    throwIfAborted(options.signal)
    if (exitCode === 0) return
    const reason = tail.toString('utf8').trim().split('\n').at(-1)
    throw new GibilError('driver_failed', `${file} failed: ${reason ?? 'no output'}`, {
      cause,
      details: { log: tail.toString('utf8') },
    })
  } finally {
    child.kill('SIGKILL')
  }
}
