import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { TestHome } from './home.ts'

interface Answer {
  readonly status: number
  readonly text: string
  /** The code of the error table in the answer. */
  readonly code: string | undefined
}

/** The API of a home's daemon over TCP as a stranger would call it: paths and bodies go out exactly as given. */
export interface Api {
  readonly url: URL
  readonly token: string
  call(
    method: string,
    path: string,
    options?: { body?: string | Uint8Array; headers?: OutgoingHttpHeaders; token?: string | null },
  ): Promise<Answer>
}

export async function apiOf(home: TestHome): Promise<Api> {
  const { url: address } = JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8'))
  const url = new URL(String(address))
  const own = (await readFile(join(home.path, 'token'), 'utf8')).trim()
  return {
    url,
    token: own,
    async call(method, path, { body, headers = {}, token = own } = {}) {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const request = httpRequest({
          host: url.hostname,
          port: url.port,
          method,
          path,
          headers: {
            ...(token === null ? {} : { authorization: `Bearer ${token}` }),
            ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}),
            ...headers,
          },
        })
        request.once('response', resolve).once('error', reject)
        request.end(body)
      })
      const text = (await buffer(response)).toString('utf8')
      return { status: response.statusCode ?? 0, text, code: codeIn(text) }
    },
  }
}

function codeIn(text: string): string | undefined {
  try {
    return String(JSON.parse(text).error.code)
  } catch {
    return undefined
  }
}
