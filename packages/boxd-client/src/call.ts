import type * as z from 'zod'
import { bodyReader, readableBody, readWhole } from './body.ts'
import { type Context, exchange, parseJson, type Request } from './exchange.ts'
import { violation } from './failures.ts'
import { bodyLength } from './head.ts'
import type { Download } from './types.ts'

/** The longest JSON answer, unless the call says otherwise. */
const maxJsonBytes = 4 * 1024 * 1024

/** Makes a call whose answer is JSON. Throws `boxd_protocol` when that does not fit the schema. */
export async function callJson<T>(
  context: Context,
  request: Request,
  schema: z.ZodType<T>,
  maxBytes = maxJsonBytes,
): Promise<T> {
  const { connection, head } = await exchange(context, request)
  const done = connection.deadline(context.answerMs, 'finish its answer')
  try {
    const value = parseJson(await readWhole(bodyReader(connection, bodyLength(head)), maxBytes))
    const parsed = schema.safeParse(value)
    if (!parsed.success) throw violation('an answer that does not fit its schema', parsed.error)
    return parsed.data
  } finally {
    done()
    connection.close()
  }
}

/** Makes a call whose answer is empty. */
export async function callEmpty(context: Context, request: Request): Promise<void> {
  const { connection } = await exchange(context, request)
  connection.close()
}

/** What a client may learn of a body before it comes. */
const passedOn = ['content-type', 'content-length', 'content-range', 'accept-ranges', 'last-modified']

/** Makes a call whose answer is bytes of any length. */
export async function callDownload(context: Context, request: Request): Promise<Download> {
  const { connection, head } = await exchange(context, request)
  try {
    const headers: Record<string, string> = {}
    for (const name of passedOn) {
      const value = head.headers.get(name)
      if (value !== undefined) headers[name] = value
    }
    const body = readableBody(connection, bodyReader(connection, bodyLength(head)))
    return { status: head.status === 206 ? 206 : 200, headers, body }
  } catch (error) {
    connection.close()
    throw error
  }
}
