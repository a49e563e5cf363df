import { createHmac, randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { GibilError } from '@gibil/contract'
import { sameSecret } from '../tokens.ts'

/** The archives of COPY, by the hash that the client gives them. It vouches for nothing, so that each template has its own. */
export interface Uploads {
  isPresent(template: string, hash: string): Promise<boolean>
  pathOf(template: string, hash: string): string
  /** Whole or not at all. Throws `disk_full`, `invalid_request`. */
  receive(template: string, hash: string, body: ReadableStream | null, length: number): Promise<void>
  /** Removes all but these. */
  keep(template: string, hashes: ReadonlySet<string>): Promise<void>
  /** The query that lets whoever has it upload this archive, for a while. */
  sign(template: string, hash: string): string
  /** Throws `unauthorized`. */
  check(template: string, hash: string, query: URLSearchParams): void
}

const hashForm = /^[0-9a-f]{64}$/
/** For so long an address to upload to is good, which is how long SDKs try. */
const goodSeconds = 3600
/** So much of the disk is left alone, as images do. */
const reserve = 1024 ** 3

export function createUploads(folderOf: (template: string) => string, secret: string): Uploads {
  const place = (template: string): string => join(folderOf(template), 'uploads')
  const pathOf = (template: string, hash: string): string => {
    if (!hashForm.test(hash)) throw new GibilError('invalid_request', 'The hash of files is not 64 hexadecimal digits.')
    return join(place(template), hash)
  }
  const signatureOf = (template: string, hash: string, expires: number): string =>
    createHmac('sha256', secret).update(`e2b-upload:${template}:${hash}:${expires}`).digest('hex')
  const checkRoom = async (folder: string, length: number): Promise<void> => {
    const { bavail, bsize } = await statfs(folder)
    if (length > bavail * bsize - reserve)
      throw new GibilError('disk_full', `There is no room for ${length} bytes more on the disk of this machine.`)
  }
  return {
    pathOf,
    isPresent: (template, hash) =>
      stat(pathOf(template, hash)).then(
        () => true,
        () => false,
      ),
    async receive(template, hash, body, length) {
      if (!Number.isSafeInteger(length) || length < 0)
        throw new GibilError('invalid_request', 'An upload must say how long it is: Content-Length.')
      const path = pathOf(template, hash)
      await mkdir(place(template), { recursive: true, mode: 0o700 })
      await checkRoom(place(template), length)
      const part = `${path}.${randomBytes(6).toString('hex')}.part`
      try {
        let received = 0
        await pipeline(
          body ? Readable.fromWeb(body) : Readable.from([]),
          async function* (chunks: AsyncIterable<Uint8Array>) {
            for await (const chunk of chunks) {
              received += chunk.length
              if (received > length) throw new GibilError('invalid_request', 'The upload is longer than it said.')
              yield chunk
            }
          },
          createWriteStream(part, { mode: 0o600 }),
        )
        if (received < length) throw new GibilError('invalid_request', 'The upload was cut off.')
        await rename(part, path)
      } catch (error) {
        await rm(part, { force: true })
        throw error
      }
    },
    async keep(template, hashes) {
      for (const name of await readdir(place(template)).catch(() => [])) {
        if (!hashes.has(name)) await rm(join(place(template), name), { force: true })
      }
    },
    sign(template, hash) {
      const expires = Math.floor(Date.now() / 1000) + goodSeconds
      return new URLSearchParams({
        expires: String(expires),
        signature: signatureOf(template, hash, expires),
      }).toString()
    },
    check(template, hash, query) {
      const expires = Number(query.get('expires'))
      const isRight = sameSecret(query.get('signature') ?? '', signatureOf(template, hash, expires))
      if (!isRight || !(expires >= Date.now() / 1000))
        throw new GibilError('unauthorized', 'The address to upload to is not good, or not any more.')
    },
  }
}
