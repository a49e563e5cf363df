import * as z from 'zod'
import type { Connection } from './connection.ts'
import { type Context, exchange, parseJson } from './exchange.ts'
import { violation } from './failures.ts'
import type { Arrival, BoxdClient } from './types.ts'

const Place = z.object({
  port: z.int().min(1).max(65_535).optional(),
  path: z
    .string()
    .regex(/^\/\P{Cc}*$/u)
    .max(200)
    .optional(),
})
const ArrivalLine = z.object({
  id: z.string().regex(/^\d{1,20}$/),
  host: z.union([z.ipv4(), z.ipv6()]).optional(),
  port: z.int().min(0).max(65_535).optional(),
})
const maxLineBytes = 1024

export function listenCalls(context: Context): Pick<BoxdClient, 'listen' | 'accept'> {
  return {
    async listen(query) {
      const request = { method: 'GET', path: 'listen', query: { ...query }, upgrade: 'gibil-listen/1' } as const
      const { connection } = await exchange(context, request)
      try {
        const answered = connection.deadline(context.answerMs, 'listen')
        const place = await readLine(connection, Place)
        answered()
        if (!place) throw violation('an end where a place must be')
        return {
          place,
          [Symbol.asyncIterator]: () => arrivals(connection),
          close: () => connection.close(),
        }
      } catch (error) {
        connection.close()
        throw error
      }
    },
    async accept(id) {
      const request = { method: 'GET', path: 'accept', query: { id }, upgrade: 'gibil-tcp/1' } as const
      return (await exchange(context, request)).connection.release()
    },
  }
}

async function* arrivals(connection: Connection): AsyncGenerator<Arrival> {
  try {
    for (let next = await readLine(connection, ArrivalLine); next; next = await readLine(connection, ArrivalLine)) {
      yield next
    }
  } catch (error) {
    if (!connection.closed) throw error
  } finally {
    connection.close()
  }
}

async function readLine<T>(connection: Connection, schema: z.ZodType<T>): Promise<T | undefined> {
  const line = await connection.readThrough('\n', maxLineBytes)
  if (!line) return undefined
  const parsed = schema.safeParse(parseJson(line))
  if (!parsed.success) throw violation('a line that does not fit its schema', parsed.error)
  return parsed.data
}
