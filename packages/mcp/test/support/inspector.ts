import { join } from 'node:path'
import { execa } from 'execa'
import { root } from '../../../../test/support/home.ts'

/** What a call answers, as the official inspector prints it. */
export interface Inspected {
  readonly exitCode: number
  readonly text: string
  readonly data: Record<string, unknown>
  readonly isError: boolean
  readonly raw: string
}

const inspectorCli = join(root, 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js')

/** Runs the CLI of the official inspector, a client that is not ours, against a server that it starts. */
export const inspect = (server: readonly string[], method: readonly string[]): Promise<Inspected> =>
  // What stands behind `--` is the server with its arguments.
  run(['--method', ...method, '--', ...server])

/** The same against one that runs already, by its address. */
export const inspectUrl = (target: readonly string[], method: readonly string[]): Promise<Inspected> =>
  run([...target, '--method', ...method])

async function run(args: readonly string[]): Promise<Inspected> {
  const { exitCode, stdout, stderr } = await execa(process.execPath, [inspectorCli, '--cli', ...args], {
    reject: false,
    timeout: 120_000,
  })
  const answer = parse(stdout)
  const content: unknown[] = Array.isArray(answer['content']) ? answer['content'] : []
  const texts = content.flatMap((part) => (isText(part) ? part.text : []))
  return {
    exitCode: exitCode ?? -1,
    text: texts.join('\n'),
    data: (answer['structuredContent'] ?? answer) as Record<string, unknown>,
    isError: answer['isError'] === true,
    raw: `${stdout}\n${stderr}`,
  }
}

const isText = (part: unknown): part is { readonly text: string } =>
  typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string'

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

/** Arguments of a tool as the inspector takes them: JSON where they are no text. */
export const toolCall = (name: string, args: Record<string, unknown>): string[] => [
  'tools/call',
  '--tool-name',
  name,
  ...Object.entries(args).flatMap(([key, value]) => [
    '--tool-arg',
    `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  ]),
]
