import { Agent, type IncomingMessage, request } from 'node:http'

/** The part of Docker's HTTP API that the bench uses, over one kept connection, as a client library would. */
export interface DockerApi {
  call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown>
  /** Runs a command in a container: the three calls that every client makes. Throws unless it ends with status 0. */
  exec(container: string, argv: readonly string[]): Promise<string>
  close(): void
}

const version = '/v1.41'

export function dockerApi(socketPath: string): DockerApi {
  const agent = new Agent({ keepAlive: true })

  const send = (method: string, path: string, body?: unknown): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const headers =
        text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
      const outgoing = request({ agent, socketPath, method, path: `${version}${path}`, headers }, (response) => {
        readAll(response).then((bytes) => {
          const status = response.statusCode ?? 500
          if (status < 400) resolve(bytes)
          else reject(new Error(`Docker answered ${status} to ${method} ${path}: ${bytes.toString('utf8', 0, 500)}`))
        }, reject)
      })
      outgoing.once('error', reject)
      outgoing.end(text)
    })

  const call: DockerApi['call'] = async (method, path, body) => {
    const bytes = await send(method, path, body)
    return bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8'))
  }

  return {
    call,
    async exec(container, argv) {
      const wanted = { AttachStdout: true, AttachStderr: true, Cmd: argv }
      const id = field(await call('POST', `/containers/${container}/exec`, wanted), 'Id')
      const output = demultiplex(await send('POST', `/exec/${id}/start`, { Detach: false, Tty: false }))
      const code = field(await call('GET', `/exec/${id}/json`), 'ExitCode')
      if (code !== '0') throw new Error(`${argv.join(' ')} ended with ${code} in a container: ${output}`)
      return output
    },
    close: () => agent.destroy(),
  }
}

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Takes the heads (8 bytes, the last 4 the length) off the pieces of stdout and stderr. */
function demultiplex(bytes: Buffer): string {
  const pieces: Buffer[] = []
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at + 4)
    pieces.push(bytes.subarray(at + 8, end))
    at = end
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** A field of an answer as text. */
export function field(value: unknown, ...path: readonly string[]): string {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null) throw new Error(`Docker's answer has no ${path.join('.')}.`)
    found = Object.entries(found).find(([key]) => key === name)?.[1]
  }
  if (typeof found !== 'string' && typeof found !== 'number')
    throw new Error(`Docker's answer has no ${path.join('.')}.`)
  return String(found)
}
