import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { Busboy } from '@fastify/busboy'
import type { BoxdClient, Download } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { Incoming, Outgoing } from '../deps.ts'
import type { SandboxCall } from './call.ts'
import { metadataIn, metadataPrefix } from './metadata.ts'
import { resolvePath } from './paths.ts'

/** `GET /files`: the bytes of a file. */
export async function sendFile(
  call: SandboxCall,
  query: URLSearchParams,
  incoming: Incoming,
  outgoing: Outgoing,
  signal: AbortSignal,
): Promise<void> {
  const boxd = call.boxd(signal)
  const path = await resolvePath(query.get('path') ?? '', call, boxd)
  const range = incoming.headers.range
  const { kind } = await boxd.stat(path)
  if (kind === 'directory') throw new GibilError('file_conflict', `path '${query.get('path')}' is a directory`)
  const download = await boxd.readFile(path, range)
  const compress = range === undefined && wantsGzip(incoming.headers['accept-encoding'])
  const first = await firstPiece(download.body)
  const headers = headersOf(download, path)
  if (first === undefined) {
    // SDKs look at the length to tell an empty file from none.
    outgoing.writeHead(download.status, { ...headers, 'content-length': '0' }).end()
    return
  }
  if (!compress) {
    outgoing.writeHead(download.status, headers)
    await pipeline(startingWith(first, download.body), outgoing)
    return
  }
  const { 'content-length': _, ...rest } = headers
  outgoing.writeHead(download.status, { ...rest, 'content-encoding': 'gzip', vary: 'accept-encoding' })
  await pipeline(startingWith(first, download.body), createGzip({ level: 1 }), outgoing)
}

/**
 * Only who asks for gzip alone gets it: HTTP clients say by themselves that they can, and on this machine packing takes longer than
 * sending.
 */
const wantsGzip = (accepted: string | string[] | undefined): boolean =>
  String(accepted ?? '')
    .trim()
    .toLowerCase() === 'gzip'

function headersOf({ headers }: Download, path: string): Record<string, string> {
  const kept = ['content-length', 'content-range', 'last-modified', 'accept-ranges']
  const name = encodeURIComponent(path.split('/').at(-1) ?? '')
  return {
    ...Object.fromEntries(kept.flatMap((header) => (headers[header] === undefined ? [] : [[header, headers[header]]]))),
    'content-type': 'application/octet-stream',
    'content-disposition': `inline; filename*=UTF-8''${name}`,
  }
}

async function firstPiece(body: Readable): Promise<Buffer | undefined> {
  for await (const piece of body.iterator({ destroyOnReturn: false })) return piece
  return undefined
}

async function* startingWith(first: Buffer, rest: Readable): AsyncGenerator<Buffer> {
  yield first
  yield* rest
}

/** A part may come as text, without a name of its own: what the form calls it is what counts. */
const isPartAFile = (field: string | undefined, _type?: string, filename?: string): boolean =>
  field === 'file' || filename !== undefined

interface Written {
  readonly path: string
  readonly name: string
  readonly type: 'file'
  readonly metadata?: Readonly<Record<string, string>>
}

/** `POST /files`: writes the files of a form, or a body that is one file. Each is whole or was not touched. */
export async function receiveFiles(
  call: SandboxCall,
  query: URLSearchParams,
  incoming: Incoming,
  signal: AbortSignal,
): Promise<Written[]> {
  const boxd = call.boxd(signal)
  const metadata = metadataIn(incoming.headers)
  const given = query.get('path') ?? undefined
  const write = async (path: string, body: Readable): Promise<Written> => writeOne(call, boxd, path, body, metadata)
  const body = unpacked(incoming)
  const type = incoming.headers['content-type'] ?? ''
  if (/^multipart\/form-data\b/i.test(type)) return filesOfForm(incoming, body, type, given, write)
  if (!/^application\/octet-stream\b/i.test(type)) {
    throw new GibilError('invalid_request', 'The body must be multipart/form-data or application/octet-stream.')
  }
  if (given === undefined || given === '') throw new GibilError('invalid_request', 'path is missing.')
  return [await write(given, body)]
}

async function writeOne(
  call: SandboxCall,
  boxd: BoxdClient,
  given: string,
  body: Readable,
  metadata: Record<string, string> | undefined,
): Promise<Written> {
  const path = await resolvePath(given, call, boxd)
  const info = await boxd.writeFile(path, body, { user: call.user ?? call.box.user })
  if (metadata) await boxd.setAttributes(info.path, metadataPrefix, metadata)
  return { path: info.path, name: info.name, type: 'file', ...(metadata ? { metadata } : {}) }
}

function unpacked(incoming: Incoming): Readable {
  const coding = incoming.headers['content-encoding']
  if (coding === undefined || coding === 'identity') return incoming
  if (coding !== 'gzip') throw new GibilError('invalid_request', `A body in the coding "${coding}" cannot be read.`)
  const plain = createGunzip()
  incoming.once('error', (error) => plain.destroy(error))
  return incoming.pipe(plain)
}

/** Files are written one after another, as they come. */
function filesOfForm(
  { headers }: Incoming,
  body: Readable,
  type: string,
  path: string | undefined,
  write: (path: string, body: Readable) => Promise<Written>,
): Promise<Written[]> {
  return new Promise((resolve, reject) => {
    const form = new Busboy({ headers: { ...headers, 'content-type': type }, preservePath: true, isPartAFile })
    const written: Promise<Written>[] = []
    const fail = (error: unknown): void => {
      body.unpipe(form)
      body.resume()
      reject(error)
    }
    form.on('file', (field, stream, filename) => {
      if (field !== 'file') {
        stream.resume()
        return fail(
          new GibilError('invalid_request', `A file of the form is called "${field.slice(0, 80)}", and not "file".`),
        )
      }
      const target = path || filename
      if (!target) {
        stream.resume()
        return fail(new GibilError('invalid_request', 'A file of the form has no name.'))
      }
      const work = write(target, stream)
      work.catch(fail)
      written.push(work)
    })
    form.once('error', (cause) => fail(new GibilError('invalid_request', 'The form cannot be read.', { cause })))
    form.once('finish', () => Promise.all(written).then(resolve, reject))
    body.once('error', fail)
    body.once('close', () => {
      if (!body.readableEnded) form.destroy(new Error('The body was cut off.'))
    })
    body.pipe(form)
  })
}
