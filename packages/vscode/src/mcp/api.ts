import type { Disposable, Event, Uri } from 'vscode'

/** The part of VS Code's API that came with 1.101; programs of older versions, and some forks, have none of it. */
export interface McpApi {
  readonly lm: { registerMcpServerDefinitionProvider(id: string, provider: McpProvider): Disposable }
  readonly McpStdioServerDefinition: new (
    label: string,
    command: string,
    args: string[],
    env: Record<string, string>,
    version: string,
  ) => StdioServer
  readonly McpHttpServerDefinition: new (
    label: string,
    uri: Uri,
    headers: Record<string, string>,
    version: string,
  ) => HttpServer
}

interface StdioServer {
  cwd?: Uri
}

interface HttpServer {
  readonly uri: Uri
  headers: Record<string, string>
}

interface McpProvider {
  readonly onDidChangeMcpServerDefinitions: Event<undefined>
  provideMcpServerDefinitions(): Promise<(StdioServer | HttpServer)[]>
  /** Right before it is started. */
  resolveMcpServerDefinition(server: StdioServer | HttpServer): Promise<StdioServer | HttpServer>
}

/** The API where this program has it. */
export function mcpApi(api: object): McpApi | undefined {
  const { lm } = api as { readonly lm?: object }
  const has = lm !== undefined && 'registerMcpServerDefinitionProvider' in lm && 'McpStdioServerDefinition' in api
  return has ? (api as McpApi) : undefined
}
