/** @module The door for agents: an MCP server over the SDK, by stdio and by HTTP. */
export { serveOverStdio } from './serve/stdio.ts'
export type { Workplace } from './tool.ts'
