import { Client, type Transport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { root } from '../../../../test/support/home.ts'

/** What a tool answered. */
interface Answer {
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: what is expected of it stands in each test
  readonly data: any
  readonly isError: boolean
  readonly content: readonly { readonly type: string; readonly mimeType?: string | undefined }[]
}

/** A connection of the official client. */
export interface Connected extends AsyncDisposable {
  readonly client: Client
  call(
    name: string,
    args: Record<string, unknown>,
    options?: { signal?: AbortSignal; onprogress?: () => void },
  ): Promise<Answer>
}

/** By `gibil mcp` as a process; `cwd` is the directory that it may read and write. */
export const overStdio = (home: string, cwd: string, ...flags: readonly string[]): StdioClientTransport =>
  new StdioClientTransport({ command: `${root}/gibil`, args: ['mcp', '--home', home, ...flags], cwd, stderr: 'ignore' })

/** Connects with the protocol that both sides like best, or with the one before it. */
export async function connect(transport: Transport, era: 'newest' | 'before' = 'newest'): Promise<Connected> {
  const mode = era === 'newest' ? 'auto' : 'legacy'
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
  await client.connect(transport)
  // The client checks each result against the schema that the list gave.
  await client.listTools()
  return {
    client,
    async call(name, args, options = {}) {
      const result = await client.callTool({ name, arguments: args }, { timeout: 120_000, ...options })
      const content = result.content ?? []
      return {
        text: content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n'),
        data: result.structuredContent,
        isError: result.isError === true,
        content,
      }
    },
    async [Symbol.asyncDispose]() {
      await client.close()
    },
  }
}
