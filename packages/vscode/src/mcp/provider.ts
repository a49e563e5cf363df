import * as vscode from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { gibilCommand } from '../daemon/settings.ts'
import { mcpApi } from './api.ts'

/**
 * Gives agents in this program the tools of `gibil mcp`, without a config: by a process of its own for a daemon of this machine, which moves files too,
 * else by HTTP. Does nothing where there is no API for it.
 */
export function offerTools(daemon: Daemon, version: string): vscode.Disposable {
  const api = mcpApi(vscode)
  if (!api) return { dispose: () => undefined }
  const changed = new vscode.EventEmitter<undefined>()
  const listener = vscode.workspace.onDidChangeConfiguration((change) => {
    if (change.affectsConfiguration('gibil')) changed.fire(undefined)
  })
  const provider = api.lm.registerMcpServerDefinitionProvider('gibil', {
    onDidChangeMcpServerDefinitions: changed.event,
    async provideMcpServerDefinitions() {
      const endpoint = await daemon.endpoint()
      if (endpoint.kind === 'http') {
        const uri = vscode.Uri.parse(new URL('mcp', endpoint.url).href)
        return [new api.McpHttpServerDefinition('Gibil', uri, {}, version)]
      }
      const args = ['mcp', '--home', endpoint.home]
      const server = new api.McpStdioServerDefinition('Gibil', gibilCommand(), args, {}, version)
      // The directory whose files its tools may move.
      const folder = vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === 'file')
      if (folder) server.cwd = folder.uri
      return [server]
    },
    async resolveMcpServerDefinition(server) {
      // Only now, as definitions are kept on the disk.
      const endpoint = await daemon.endpoint()
      if ('headers' in server && endpoint.kind === 'http' && endpoint.token) {
        server.headers = { Authorization: `Bearer ${endpoint.token}` }
      }
      return server
    },
  })
  return { dispose: () => [provider, listener, changed].map((part) => part.dispose()) }
}
