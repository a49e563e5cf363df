import { PassThrough, pipeline, type Readable } from 'node:stream'
import { connectionError } from './failure.ts'
import type { Endpoint } from './locate.ts'

/** The body of an answer as a stream that fails with a GibilError: `interrupted` when the daemon goes away midway. */
export function bodyStream(answer: Readable, endpoint: Endpoint, signal?: AbortSignal): Readable {
  const body = new PassThrough({
    highWaterMark: 256 * 1024,
    destroy(error, callback) {
      callback(error && connectionError(error, endpoint, signal))
    },
  })
  pipeline(answer, body, () => undefined)
  return body
}
