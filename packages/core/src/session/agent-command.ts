import { GibilError, type KnownAgent, knownAgent } from '@gibil/contract'
import type { BoxdPort } from '../ports/boxd.ts'
import { describeExit } from '../setup/commands.ts'

const installMs = 600_000
const keptLog = 4096

/** Names where the program is, after its package was installed for the user of the box if it is not there yet. */
const provideScript = `
PATH="$PATH:$HOME/.local/bin"
command -v "$1" && exit
npm install --global --no-audit --no-fund --loglevel=error --prefix "$HOME/.local" "$2" >&2 && command -v "$1"
`

/**
 * The command of an agent with its task. One that is known is installed first where the box lacks it, in a process of its own which is given no
 * credentials. Throws `command_failed`.
 */
export async function agentCommand(
  boxd: BoxdPort,
  agent: string,
  task: string,
  signal: AbortSignal,
): Promise<string[]> {
  const known = knownAgent(agent)
  if (!known) return lineCommand(agent, task)
  return [await provide(boxd, known, signal), ...known.args.map((word) => (word === '{task}' ? task : word))]
}

/** The task is never part of what bash reads: it is a parameter. */
function lineCommand(line: string, task: string): string[] {
  const script = line.includes('{task}') ? line.replaceAll('{task}', '"$1"') : `${line} "$1"`
  return ['bash', '-c', script, 'agent', task]
}

async function provide(boxd: BoxdPort, agent: KnownAgent, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder()
  let path = ''
  let log = ''
  const exit = await boxd.exec(
    {
      argv: ['bash', '-c', provideScript, 'provide', agent.program, agent.package],
      label: `install ${agent.package}`,
      timeoutMs: installMs,
    },
    (stream, data) => {
      const text = decoder.decode(data)
      if (stream === 'stdout') path = (path + text).slice(0, keptLog)
      else log = (log + text).slice(-keptLog)
    },
    signal,
  )
  const found = path.trim()
  if (exit.exitCode === 0 && found.startsWith('/')) return found
  throw new GibilError(
    'command_failed',
    `${agent.program} is not in the box and could not be installed: npm ${describeExit(exit)}.`,
    {
      hint: `Put ${agent.package} into an image or a snapshot, or give the box a network that reaches the npm registry.`,
      details: { log },
    },
  )
}
