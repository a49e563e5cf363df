/** @module The door for agents: an MCP server over the SDK, by stdio and by HTTP. */
export {
  clientsOf,
  configText,
  type McpClientName,
  mcpClients,
  type Registered,
  register,
  type ServerCommand,
} from './register/register.ts'
export { type ServerFactory, serveOverHttp } from './serve/http.ts'
export { serveOverStdio } from './serve/stdio.ts'
export { createServer } from './server.ts'
