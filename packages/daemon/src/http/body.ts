import type { IncomingMessage, ServerResponse } from 'node:http'
import { formatBytes, GibilError } from '@gibil/contract'

/** The largest JSON body that any call takes. */
const maxJsonBytes = 1024 * 1024
const jsonDeadlineMs = 30_000
const uploadIdleMs = 300_000

const tooLarge = (): GibilError =>
  new GibilError('payload_too_large', `The body is larger than the ${formatBytes(maxJsonBytes)} that this call takes.`)

/**
 * Reads a JSON body of at most 1 MiB within 30 s. A longer one is refused as soon as it is known, by its announced
 * length or by what has come, and no more of it is read. Throws `invalid_request`, `payload_too_large`, `timeout`.
 */
export async function readJson(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  if (Number(request.headers['content-length'] ?? 0) > maxJsonBytes) throw tooLarge()
  acceptBody(request, response)
  const text = await readText(request)
  if (text === '') throw new GibilError('invalid_request', 'The body is empty; this call takes JSON.')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new GibilError('invalid_request', 'The body is not JSON.', { cause })
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  let deadline: NodeJS.Timeout | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      deadline = setTimeout(
        () => reject(new GibilError('timeout', `The body did not arrive within ${jsonDeadlineMs / 1000} s.`)),
        jsonDeadlineMs,
      )
      request.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > maxJsonBytes) reject(tooLarge())
        else chunks.push(chunk)
      })
      request.once('end', resolve)
      request.once('error', reject)
      request.once('close', () => reject(new GibilError('cancelled', 'The client went away before its body was read.')))
    })
  } catch (error) {
    request.pause()
    throw error
  } finally {
    clearTimeout(deadline)
    request.removeAllListeners('data')
  }
  return (chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)).toString('utf8')
}

/**
 * The body as a stream of any length, read only as fast as it is consumed. One from which no byte comes for five minutes
 * ends with `timeout`.
 */
export function uploadOf(request: IncomingMessage, response: ServerResponse): IncomingMessage {
  acceptBody(request, response)
  request.setTimeout(uploadIdleMs, () => {
    request.destroy(new GibilError('timeout', `No part of the body arrived for ${uploadIdleMs / 1000} s.`))
  })
  request.once('close', () => request.setTimeout(0))
  return request
}

/** A client that asked whether it may send its body (`Expect: 100-continue`) waits for this. */
function acceptBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect !== undefined) response.writeContinue()
}
