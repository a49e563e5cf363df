import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Bytes that boxd sends, with what is known of them before they come. */
export interface Download {
  readonly status: 200 | 206
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readable
}

/** Passes bytes on as fast as the client takes them. When either side breaks off, so does the other. */
export async function sendDownload({ status, headers, body }: Download, response: ServerResponse): Promise<void> {
  // What a box serves is never a page of ours, whatever its bytes are.
  response.writeHead(status, { ...headers, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
  await pipeline(body, response)
}
