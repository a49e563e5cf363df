import { GibilError, Progress, type Progress as ProgressType } from '@gibil/contract'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type * as z from 'zod'
import { connectionError } from './failure.ts'
import { type CallOptions, errorOf, type Method, parseAnswer, type Transport } from './transport.ts'

/** A message may carry a whole box or the tail of a log, never more. */
const maxMessageBytes = 4 * 1024 * 1024

/** Reads an answer as server-sent events until the daemon ends it. `id` events are given as they are. */
export async function* readEvents(
  transport: Transport,
  method: Method,
  path: string,
  options: CallOptions = {},
): AsyncGenerator<EventSourceMessage> {
  const response = await transport.open(method, path, {
    ...options,
    headers: { accept: 'text/event-stream', ...options.headers },
  })
  const pending: EventSourceMessage[] = []
  let held = 0
  const parser = createParser({
    onEvent: (event) => {
      held = 0
      pending.push(event)
    },
  })
  const decoder = new TextDecoder()
  try {
    for await (const chunk of response) {
      held += chunk.length
      if (held > maxMessageBytes) throw new GibilError('internal', 'The daemon sent an event that does not end.')
      parser.feed(decoder.decode(chunk, { stream: true }))
      yield* pending.splice(0)
    }
  } catch (error) {
    throw connectionError(error, await transport.endpoint(), options.signal)
  } finally {
    response.destroy()
  }
}

/** A long call: `progress` events, then one `result` or `error`. */
export async function callWithProgress<T extends z.ZodType>(
  transport: Transport,
  schema: T,
  method: Method,
  path: string,
  options: CallOptions & { readonly onProgress?: ((progress: ProgressType) => void) | undefined },
): Promise<z.output<T>> {
  const { onProgress, ...call } = options
  if (!onProgress) return transport.call(schema, method, path, call)
  for await (const event of readEvents(transport, method, path, call)) {
    if (event.event === 'progress') onProgress(parseAnswer(Progress, event.data, `${method} ${path}`))
    else if (event.event === 'result') return parseAnswer(schema, event.data, `${method} ${path}`)
    else if (event.event === 'error') throw errorOf(500, event.data)
  }
  throw new GibilError('interrupted', `The daemon ended its answer to ${method} ${path} before the result.`)
}
