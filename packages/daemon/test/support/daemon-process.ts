import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

const main = resolve(import.meta.dirname, '../../src/main.ts')

/** The daemon as a process of its own, so that its memory is its own too. */
export interface DaemonProcess extends AsyncDisposable {
  readonly home: string
  readonly socketPath: string
  /** Stops it and starts another on the same home; its boxes go on. */
  restart(): Promise<void>
  /** Resident memory now, in MiB. */
  memory(): Promise<number>
  call(method: string, path: string, body?: object | Buffer): Promise<{ status: number; json: unknown; text: string }>
  /** A request whose body the caller sends. */
  begin(method: string, path: string, options?: RequestOptions): ClientRequest
  /** A connection that has sent a GET and reads nothing of what comes back. */
  deaf(path: string): Promise<Socket>
}

export async function startDaemonProcess(): Promise<DaemonProcess> {
  const home = await mkdtemp('/var/tmp/gibild-apart-')
  const socketPath = join(home, 'gibild.sock')
  const begin: DaemonProcess['begin'] = (method, path, options = {}) =>
    request({ socketPath, method, path: `/v1${path}`, agent: false, ...options })

  const call: DaemonProcess['call'] = async (method, path, body) => {
    const isRaw = Buffer.isBuffer(body)
    const headers = body && !isRaw ? { 'content-type': 'application/json' } : {}
    const outgoing = begin(method, path, { headers })
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
    outgoing.end(isRaw || body === undefined ? body : JSON.stringify(body))
    const [response] = await answered
    const text = (await buffer(response)).toString()
    const isJson = response.headers['content-type']?.startsWith('application/json') && text !== ''
    return { status: response.statusCode ?? 0, text, json: isJson ? JSON.parse(text) : undefined }
  }

  const start = async (): Promise<ChildProcess> => {
    const started = spawn(process.execPath, [main, '--home', home], { stdio: ['ignore', 'inherit', 'inherit'] })
    for (let tries = 0; tries < 1200; tries += 1) {
      if (started.exitCode !== null) throw new Error('The daemon ended at its start.')
      const health = await call('GET', '/health').catch(() => undefined)
      if ((health?.json as { status?: string } | undefined)?.status === 'ok') return started
      await sleep(25)
    }
    throw new Error('The daemon does not answer.')
  }
  const stop = async (child: ChildProcess): Promise<void> => {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }

  let child = await start()
  return {
    home,
    socketPath,
    begin,
    call,
    async restart() {
      await stop(child)
      child = await start()
    },
    async memory() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / 1024
    },
    async deaf(path) {
      const socket = connect(socketPath)
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      socket.pause()
      socket.write(`GET /v1${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      return socket
    },
    async [Symbol.asyncDispose]() {
      const boxes = (await call('GET', '/boxes')).json as { id: string }[]
      for (const { id } of boxes) await call('DELETE', `/boxes/${id}`)
      await stop(child)
      await rm(home, { recursive: true, force: true })
    },
  }
}
