import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Download } from '@gibil/boxd-client'

/** Passes bytes on as fast as the client takes them. When either side breaks off, so does the other. */
export async function sendDownload({ status, headers, body }: Download, response: ServerResponse): Promise<void> {
  // What a box serves is never a page of ours, whatever its bytes are.
  response.writeHead(status, { ...headers, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
  await pipeline(body, response)
}
