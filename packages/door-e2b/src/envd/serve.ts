import type { HandlerContext } from '@connectrpc/connect'
import { callOf, isLost, type SandboxCall, toConnectError } from './call.ts'

/** A call with one answer, whose failures become those of Connect. */
export const unary =
  <Request, Answer>(work: (request: Request, call: SandboxCall, context: HandlerContext) => Promise<Answer>) =>
  async (request: Request, context: HandlerContext): Promise<Answer> => {
    const call = callOf(context)
    try {
      return await work(request, call, context)
    } catch (error) {
      throw toConnectError(error, call)
    }
  }

/** A call with a stream of answers. One that is lost with its sandbox breaks off, since SDKs take an end in words for the end of a command. */
export const streaming = <Request, Answer>(
  work: (request: Request, call: SandboxCall, context: HandlerContext) => AsyncIterable<Answer>,
) =>
  async function* (request: Request, context: HandlerContext): AsyncGenerator<Answer> {
    const call = callOf(context)
    let begun = false
    try {
      for await (const answer of work(request, call, context)) {
        yield answer
        begun = true
      }
      // What ended because its time was over must not look as if it had come to its end.
      context.signal.throwIfAborted()
    } catch (error) {
      if (begun && isLost(error)) call.breakOff()
      throw toConnectError(error, call)
    }
  }
