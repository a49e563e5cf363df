import type { CreateOptions, Gibil } from '@gibil/sdk'
import type { CallToolResult, McpServer, ServerContext } from '@modelcontextprotocol/server'
import type * as z from 'zod'
import { errorResult } from './results/error.ts'

/** What the tools work with. */
export interface Workplace {
  /** The daemon, as whoever calls. */
  readonly gibil: Gibil
  /** Directory of this machine below which files may be read and written; null where the caller is on another one. */
  readonly local: string | null
  /** What boxes are made of where the model says nothing. */
  readonly defaults?: CreateOptions | undefined
  /** For private repositories; used for the clone only. */
  readonly repoToken?: string | undefined
  /** Variables that agents of sessions get, such as the keys of their models: what the user of this server lets them have. */
  readonly agentEnv?: Readonly<Record<string, string>> | undefined
}

/** What one call has beside its arguments. */
export interface ToolCall extends Workplace {
  /** Aborts when the client gives up or goes away. What was started in a box goes on. */
  readonly signal: AbortSignal
  /** Tells a client that asked for it how far the call has come, which also keeps it from giving up. */
  readonly say: (message: string) => void
}

/** What a tool answers: the same for programs and for a model that reads. */
interface Answer<Data> {
  readonly data: Data
  readonly text: string
  /** A picture that the model may look at. */
  readonly image?: { readonly base64: string; readonly mimeType: string }
}

/** What a client may assume of a call before it asks its user. */
interface Effect {
  readonly readOnlyHint: boolean
  readonly destructiveHint: boolean
  readonly idempotentHint: boolean
  /** Reaches beyond the boxes of this caller. */
  readonly openWorldHint: boolean
}

export const looks: Effect = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false }
export const adds: Effect = { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false }
export const sets: Effect = { ...adds, idempotentHint: true }
export const removes: Effect = { ...sets, destructiveHint: true }
/** A command may do anything that the network of its box lets it. */
export const runs: Effect = { ...adds, destructiveHint: true, openWorldHint: true }

/** A tool whose types have been used up: ready to be registered with a server. */
export interface Tool {
  readonly name: string
  /** Reads or writes files of this machine, so it is served only where the caller is on it. */
  readonly local: boolean
  register(server: McpServer, place: Workplace): void
}

interface ToolDefinition<In extends z.ZodObject, Out extends z.ZodObject> {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly effect: Effect
  readonly local?: boolean
  readonly input: In
  readonly output: Out
  readonly handle: (input: z.output<In>, call: ToolCall) => Promise<Answer<z.input<Out>>>
}

/** Ties a handler to its schemas; what it throws becomes a result that says what to do next. */
export function tool<In extends z.ZodObject, Out extends z.ZodObject>(definition: ToolDefinition<In, Out>): Tool {
  const { name, title, description, effect, local = false, input, output, handle } = definition
  // An argument that is misspelt must not be ignored in silence. The types are let go of here: the server does not follow generic ones.
  const inputSchema: z.ZodObject = input.strict()
  const outputSchema: z.ZodObject = output
  return {
    name,
    local,
    register(server, place) {
      const annotations = { title, ...effect }
      server.registerTool(
        name,
        { title, description, inputSchema, outputSchema, annotations },
        async (args, context): Promise<CallToolResult> => {
          const call: ToolCall = { ...place, signal: context.mcpReq.signal, say: progressOf(context) }
          try {
            return result(await handle(args as z.output<In>, call))
          } catch (error) {
            return errorResult(error)
          }
        },
      )
    },
  }
}

function result({ data, text, image }: Answer<object>): CallToolResult {
  const picture = image ? [{ type: 'image' as const, data: image.base64, mimeType: image.mimeType }] : []
  return { content: [{ type: 'text', text }, ...picture], structuredContent: { ...data } }
}

function progressOf({ mcpReq }: ServerContext): (message: string) => void {
  const progressToken = mcpReq._meta?.progressToken
  if (progressToken === undefined) return () => undefined
  let progress = 0
  return (message) => {
    progress += 1
    // A client that has gone away does not hear it, and its call ends by the signal.
    mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, message } }).catch(() => {})
  }
}
