import { createMcpHandler, type McpServer } from '@modelcontextprotocol/server'

/** Makes the server of one request. */
export type ServerFactory = () => McpServer

/**
 * Serves one request of Streamable HTTP whose body has been read, for the protocol of 2026 and that of 2025. Nothing is kept from one request to the
 * next: no session, so that a client that is gone leaves nothing. Who may come is decided before.
 */
export async function serveOverHttp(
  factory: ServerFactory,
  request: Request,
  body: unknown,
): Promise<{ readonly response: Response; readonly end: () => Promise<void> }> {
  const handler = createMcpHandler(factory)
  const response = await handler.fetch(request, body === undefined ? {} : { parsedBody: body })
  return { response, end: () => handler.close() }
}
