import { createContextValues } from '@connectrpc/connect'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { GibilError } from '@gibil/contract'
import type { DoorDeps, Incoming, Outgoing } from '../deps.ts'
import { errorAnswer } from '../errors.ts'
import { Filesystem } from '../gen/filesystem_pb.js'
import { type Command, Process } from '../gen/process_pb.js'
import { sampleOf } from '../metrics-log.ts'
import { sameSecret, tokensOf } from '../tokens.ts'
import type { Sandbox } from '../view.ts'
import { isLost, type SandboxCall, sandboxCall } from './call.ts'
import { receiveFiles, sendFile } from './files.ts'
import { filesystemService } from './filesystem.ts'
import { processService } from './process.ts'
import { flawNow, signedIn } from './signed.ts'
import { createWatchers } from './watchers.ts'

/** What E2B's proxy does not let through from outside. */
const inner = new Set(['/init', '/freeze', '/unfreeze', '/fsfreeze', '/fsthaw', '/collapse', '/upgrade'])
const maxMessageBytes = 64 * 1024 * 1024

/** Serves a request for the inside of a sandbox that runs. `onHalt` calls back when that stops. */
export type EnvdHandler = (
  sandbox: Sandbox,
  incoming: Incoming,
  outgoing: Outgoing,
  onHalt: (halt: () => void) => () => void,
) => Promise<void>

export function createEnvdHandler({ boxd, secret, log }: Pick<DoorDeps, 'boxd' | 'secret' | 'log'>): EnvdHandler {
  const calls = new WeakMap<object, SandboxCall>()
  const launches = new Map<string, Command>()
  const watchers = createWatchers()
  const rpc = connectNodeAdapter({
    routes(router) {
      router.service(Process, processService(launches))
      router.service(Filesystem, filesystemService(watchers))
    },
    readMaxBytes: maxMessageBytes,
    grpc: false,
    grpcWeb: false,
    contextValues: (request) => createContextValues().set(sandboxCall, calls.get(request)),
    fallback: (request, response) => {
      const path = (request.url ?? '').split('?')[0] ?? ''
      const error = new GibilError(
        'unsupported_by_door',
        `${request.method} ${path.slice(0, 200)} is not supported here.`,
      )
      refuse(error, response as Outgoing)
    },
  })

  return async (sandbox, incoming, outgoing, onHalt) => {
    const { box } = sandbox
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://sandbox')
    const token = tokensOf(secret, box.id).envd
    const abort = new AbortController()
    const breakOff = (): void => cut(outgoing)
    outgoing.once('close', () => abort.abort(new GibilError('cancelled', 'The client went away.')))
    // An answer that is under way when the sandbox goes must not look as if it were whole.
    outgoing.once(
      'close',
      onHalt(() => (outgoing.writableEnded ? undefined : breakOff())),
    )
    const call = (user: string | undefined): SandboxCall => ({
      ...sandbox,
      user,
      // Not as activity: the time of a sandbox does not depend on its use, and what is paused is woken by the door alone.
      boxd: (signal) => boxd(box.id, signal, { quiet: true }),
      breakOff,
    })
    try {
      if (inner.has(pathname)) throw new GibilError('not_found', 'not found')
      if (pathname === '/health') {
        outgoing.writeHead(204, cors).end()
        return
      }
      if (incoming.method === 'OPTIONS') {
        outgoing.writeHead(204, { ...cors, ...preflight }).end()
        return
      }
      const given = incoming.headers['x-access-token']
      if (pathname === '/files') {
        for (const [name, value] of Object.entries(cors)) outgoing.setHeader(name, value)
        checkFileAccess(incoming, given, token)
        const own = call(searchParams.get('username') || undefined)
        if (incoming.method === 'GET') await sendFile(own, searchParams, incoming, outgoing, abort.signal)
        else if (incoming.method === 'POST') {
          sendJson(outgoing, 200, await receiveFiles(own, searchParams, incoming, abort.signal))
        } else throw new GibilError('unsupported_by_door', `${incoming.method} /files is not supported here.`)
        return
      }
      if (typeof given !== 'string' || !sameSecret(given, token)) throw unauthorized()
      if (pathname === '/metrics') {
        const metrics = await call(undefined).boxd(abort.signal).metrics()
        sendJson(outgoing, 200, metricsOf(sampleOf(box, metrics, new Date())))
        return
      }
      // The other form of Connect has numbers for fields, which are ours and nobody else's.
      const type = incoming.headers['content-type'] ?? ''
      if (/proto/i.test(type))
        throw new GibilError('unsupported_by_door', `Messages of the type ${type} are not supported here: send JSON.`)
      calls.set(incoming, call(userIn(incoming.headers.authorization)))
      rpc(incoming, outgoing)
    } catch (thrown) {
      const error = GibilError.from(thrown)
      if (error.code === 'internal') log.error({ box: box.id, err: error }, 'a call into a sandbox failed')
      if (isLost(error) && outgoing.headersSent) breakOff()
      else refuse(error, outgoing)
    }
  }
}

const cors = { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*' }
const preflight = {
  'access-control-allow-methods': '*',
  'access-control-allow-headers': '*',
  'access-control-max-age': '7200',
}

const unauthorized = (
  why = 'unauthorized access, please provide a valid access token or method signing if supported',
): GibilError => new GibilError('unauthorized', why)

/** A token opens every file; a signature the one that it was made for. Throws `unauthorized`. */
function checkFileAccess(incoming: Incoming, given: string | string[] | undefined, token: string): void {
  if (given !== undefined) {
    if (typeof given === 'string' && sameSecret(given, token)) return
    throw unauthorized('access token present in header but does not match')
  }
  const address = signedIn(incoming)
  if (!address) throw unauthorized('missing signature query parameter')
  const flaw = flawNow(address, token)
  if (flaw !== undefined) throw unauthorized(flaw)
}

/** Basic authentication names whom to be; there is no password. */
function userIn(authorization: string | undefined): string | undefined {
  const [, encoded] = /^Basic +(\S+)$/i.exec(authorization ?? '') ?? []
  const name = Buffer.from(encoded ?? '', 'base64')
    .toString()
    .split(':')[0]
  return name || undefined
}

function metricsOf({
  timestampUnix,
  cpuCount,
  cpuUsedPct,
  memTotal,
  memUsed,
  memCache,
  diskUsed,
  diskTotal,
}: ReturnType<typeof sampleOf>) {
  return {
    ts: timestampUnix,
    cpu_count: cpuCount,
    cpu_used_pct: cpuUsedPct,
    mem_total: memTotal,
    mem_used: memUsed,
    mem_cache: memCache,
    disk_used: diskUsed,
    disk_total: diskTotal,
  }
}

export function sendJson(outgoing: Outgoing, status: number, value: unknown): void {
  const text = JSON.stringify(value)
  outgoing
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text)
}

export function refuse(error: GibilError, outgoing: Outgoing): void {
  if (outgoing.headersSent || outgoing.destroyed) {
    cut(outgoing)
    return
  }
  const { status, body } = errorAnswer(error)
  sendJson(outgoing, status, body)
}

/** Ends an answer as a broken connection does: of HTTP/2 this one stream, of HTTP/1.1 all there is. */
function cut(outgoing: Outgoing): void {
  const { stream } = outgoing as { stream?: { close?(code: number): void } }
  // INTERNAL_ERROR of RFC 9113 section 7.
  if (stream?.close) stream.close(2)
  else outgoing.destroy()
}
