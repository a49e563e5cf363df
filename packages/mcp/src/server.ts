import { McpServer } from '@modelcontextprotocol/server'
import { registerResources } from './resources.ts'
import type { Workplace } from './tool.ts'
import { tools } from './tools/index.ts'

const instructions = `Gibil gives you Linux boxes: real machines to run, build, test and break things in, apart from the user's own.
1. box_create (with repo to work on a project), then box_run, file_edit, file_search in it.
2. box_run waits for a command; one that takes longer goes on as a job: job_output, job_cancel.
3. Name the box in each call. Every result says how much time the box has left: box_extend before it is over.
4. A box that sleeps wakes when it is used. box_snapshot before something risky, box_restore to go back, box_fork for several tries.
5. box_choose says which box some needs are met by; box_move makes a box one of another shape or size, with its files.
6. session_start lets other agents work, each in a box of its own: session_output, session_answer, session_result.
7. Bring work out (git push, file_download) before box_destroy, and destroy boxes that nobody needs.`

/** An MCP server with all tools of a place. A fresh one serves each request over HTTP, and each connection over stdio. */
export function createServer(place: Workplace, version: string): McpServer {
  const server = new McpServer(
    { name: 'gibil', title: 'Gibil', version },
    { instructions, capabilities: { tools: { listChanged: false }, resources: { listChanged: false } } },
  )
  for (const tool of tools) {
    if (!tool.local || place.local !== null) tool.register(server, place)
  }
  registerResources(server, place)
  return server
}
