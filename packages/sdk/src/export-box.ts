import type { Readable } from 'node:stream'
import { Exported, GibilError } from '@gibil/contract'
import { bodyStream } from './connect/body-stream.ts'
import { parseAnswer, type Transport } from './connect/transport.ts'

export interface ExportOptions {
  /** With the values of its environment, which may be secrets. */
  readonly env?: boolean | undefined
  /** As a tar archive, not compressed by zstd. */
  readonly plain?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** A box on its way out. It stands still until all of the file is read, or that is destroyed. */
export interface BoxExport {
  readonly file: Readable
  /** Once the file has ended. Throws `interrupted` when it is not whole. */
  report(): Exported
}

export const boxFileType = 'application/vnd.gibil.box'

export async function exportBox(
  transport: Transport,
  path: string,
  { env, plain, signal }: ExportOptions = {},
): Promise<BoxExport> {
  const query = { env: env ? 1 : undefined, plain: plain ? 1 : undefined }
  const answer = await transport.open('GET', `${path}/export`, { query, headers: { accept: boxFileType }, signal })
  return {
    file: bodyStream(answer, await transport.endpoint(), signal),
    report() {
      const told = answer.trailers['gibil-exported']
      if (told !== undefined) return parseAnswer(Exported, Buffer.from(told, 'base64'), 'export')
      throw new GibilError('interrupted', 'The daemon ended the file of the box before it was whole.')
    },
  }
}
