import { randomBytes } from 'node:crypto'
import { createIsolatedSandboxProvider, type IsolatedSandboxProvider } from '@ai-hero/sandcastle'
import { type BoxHandle, type ConnectOptions, type CreateOptions, Gibil } from '@gibil/sdk'
import { copyFileOut, copyIn } from './copy.ts'
import { execute } from './execute.ts'
import { executeInteractively } from './interactive.ts'
import { keepTrack, type Tracked } from './leave-nothing.ts'

export interface GibilSandboxOptions {
  /** What the box is like: image, shape, size, network, … */
  readonly box?: Omit<CreateOptions, 'name' | 'wait' | 'repo'>
  /** A box or a snapshot to begin as, instead of `box`: what is installed in it need not be again. */
  readonly from?: string
  /** For every command. Sandcastle puts that of the agent beside it; the two may share no name. */
  readonly env?: Record<string, string>
  /** Where the work is in the box; default `/home/agent/workspace`. Its parent must be writable for the user of the box. */
  readonly worktreePath?: string
  /** Leave the box running at the end, without its commands. */
  readonly keep?: boolean
  /** Where the daemon is; default as for the CLI. */
  readonly connect?: ConnectOptions
  /** The create is given up then; default 110 000 ms, just before Sandcastle itself stops waiting for it, and would leave the box behind. */
  readonly createTimeoutMs?: number
}

/** What ends a box whose maker was killed outright: nothing runs in it for so long, and it lives no longer than that. */
const lease = { ttl: '12h', idle: '30m', onIdle: 'destroy', onExpire: 'destroy' } as const
const defaultCreateMs = 110_000
const defaultWorktree = '/home/agent/workspace'

/** A sandbox provider of Sandcastle: `run({ sandbox: gibil(), … })`. Every sandbox is a box of its own, which is destroyed when it is closed. */
export function gibil(options: GibilSandboxOptions = {}): IsolatedSandboxProvider {
  const { env, worktreePath = defaultWorktree, connect = {}, keep = false } = options
  return createIsolatedSandboxProvider({
    name: 'gibil',
    ...(env === undefined ? {} : { env }),
    async create({ env: given }) {
      const client = Gibil.connect(connect)
      // Known before it is made, so that it can be ended whatever happens meanwhile.
      const name = `sandcastle-${randomBytes(5).toString('hex')}`
      const tracked = keepTrack({ name, connect, keep })
      try {
        const box = await tracked.during(make(client, name, options, tracked))
        await box.run(['mkdir', '-p', worktreePath], { check: true, cwd: '/' })
        const where = { box, env: given, cwd: worktreePath, ended: tracked.ended }
        return {
          worktreePath,
          exec: (command, settings) => execute(where, command, settings),
          interactiveExec: (args, settings) => executeInteractively(where, args, settings),
          copyIn: (hostPath, sandboxPath) => copyIn(box, hostPath, sandboxPath),
          copyFileOut: (sandboxPath, hostPath) => copyFileOut(box, sandboxPath, hostPath),
          close: async () => {
            await tracked.end()
            client.close()
          },
        }
      } catch (error) {
        await tracked.end().catch(() => undefined)
        client.close()
        throw error
      }
    },
  })
}

async function make(client: Gibil, name: string, options: GibilSandboxOptions, tracked: Tracked): Promise<BoxHandle> {
  const late = AbortSignal.timeout(options.createTimeoutMs ?? defaultCreateMs)
  const signal = AbortSignal.any([late, tracked.ended])
  if (options.from === undefined) return client.create({ ...lease, ...options.box, name }, { signal })
  const { boxes, failures } = await client.fork({ ...lease, from: options.from, name }, { signal })
  const made = boxes[0]
  if (made) return client.box(made.id)
  throw new Error(
    `No box could be made of ${options.from}: ${failures.map(({ failure }) => failure.message).join(' ')}`,
  )
}
