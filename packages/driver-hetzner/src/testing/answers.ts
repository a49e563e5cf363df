import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `drop`: the request is read and the connection ends without an answer. */
export type Answer =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }
  | 'drop'

export interface AnsweringServer extends AsyncDisposable {
  readonly url: string
  /** `<method> <path with query>` of each request. */
  readonly requests: string[]
}

/** A server that gives these answers one after the other, and the last of them from then on. */
export async function answering(...answers: readonly Answer[]): Promise<AnsweringServer> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)] ?? 'drop'
    requests.push(`${request.method} ${request.url}`)
    request.resume().on('end', () => {
      if (answer === 'drop') {
        request.socket.destroy()
        return
      }
      const { status, body, headers = {} } = answer
      const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** An error as the API writes it. */
export const refusal = (status: number, code: string, headers?: Readonly<Record<string, string>>): Answer => ({
  status,
  body: { error: { code, message: `${code}!`, details: null } },
  ...(headers ? { headers } : {}),
})
