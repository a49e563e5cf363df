import { request } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Driver } from '@gibil/core'

/** The few calls of boxd's protocol that the driver's tests need, on plain HTTP over the driver's stream. */

export interface Ran {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly output: string
}

export async function call(driver: Driver, id: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const stream: Duplex = await driver.dial(id).catch(async (cause) => {
    // What became of the box says more than that nobody answers.
    throw new Error(`${cause.message} ${JSON.stringify(await driver.inspect(id))}`, { cause })
  })
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const sent = request(
      {
        method,
        path,
        createConnection: () => stream,
        headers: {
          host: 'boxd',
          connection: 'close',
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString()
          stream.destroy()
          if ((response.statusCode ?? 500) >= 300)
            reject(new Error(`${method} ${path}: ${response.statusCode} ${answer}`))
          else resolve(answer === '' ? undefined : JSON.parse(answer))
        })
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}

interface Output {
  readonly chunks: readonly { readonly base64: string }[]
  readonly nextOffset: number
  readonly exit: { readonly exitCode: number | null; readonly signal: string | null } | null
}

/** Runs a line of shell in the box to its end. */
export async function run(
  driver: Driver,
  id: string,
  command: string,
  user = 'root',
  timeoutMs = 60_000,
): Promise<Ran> {
  const job = (await call(driver, id, 'POST', '/v1/jobs', {
    argv: ['bash', '-c', command],
    user,
    cwd: '/',
    timeoutMs,
  })) as {
    id: string
  }
  let offset = 0
  const parts: Buffer[] = []
  for (;;) {
    const path = `/v1/jobs/${job.id}/output?offset=${offset}&waitMs=20000`
    const output = (await call(driver, id, 'GET', path)) as Output
    parts.push(...output.chunks.map((chunk) => Buffer.from(chunk.base64, 'base64')))
    const more = output.nextOffset > offset
    offset = output.nextOffset
    if (output.exit !== null && !more) return { ...output.exit, output: Buffer.concat(parts).toString() }
  }
}
