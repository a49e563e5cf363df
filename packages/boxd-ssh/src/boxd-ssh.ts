import type { Duplex } from 'node:stream'
import type { Clock } from '@gibil/core'
import { boxdSocket } from './boxd-place.ts'
import { type Connection, connect, unreachable } from './connection.ts'
import { type Installation, installBoxd, type Machine } from './install.ts'
import { keepLink, unless } from './link.ts'
import { run } from './run.ts'
import { streamOver } from './stream.ts'

export type { Machine }

export interface BoxdSshOptions {
  /** Of the box, for messages. */
  readonly id: string
  readonly host: string
  /** Default 22. */
  readonly port?: number
  /** root, or a user that has sudo without a password. */
  readonly username: string
  /** OpenSSH or PEM text without a passphrase. */
  readonly privateKey: string
  /** The public key that the machine must have, as one line of OpenSSH. Any other is refused before anything is said to it. */
  readonly hostKey: string
  /** The path of boxd for such a machine, on this host. */
  readonly boxdBinary: (machine: Machine) => string | Promise<string>
  /** Whose commands they are when nobody says. Default `agent`. */
  readonly defaultUser?: string
  readonly clock: Clock
  readonly log: (level: 'debug' | 'info' | 'warn', message: string, facts: Readonly<Record<string, unknown>>) => void
  /** A machine that is silent for four times as long is gone, in ms. Default 10 000. */
  readonly keepaliveMs?: number
  /** How long one attempt to log in may take, in ms. Default 15 000. */
  readonly loginMs?: number
}

/** The one SSH connection to a box. It is made when it is first needed, and from then on made again whenever it is lost. */
export interface BoxdSsh {
  /**
   * Waits until somebody can log in: attempts go on until the signal aborts, so a machine that boots is waited for. Throws `host_key_mismatch` at once,
   * `cancelled`.
   */
  connected(signal: AbortSignal): Promise<void>
  /**
   * A byte stream to boxd, which is put there and started when it does not listen. Half-closes; fails when the connection is lost. Throws `boxd_unreachable`,
   * `host_key_mismatch`, `driver_failed`, `cancelled`.
   */
  dial(signal?: AbortSignal): Promise<Duplex>
  /**
   * Runs a command of the login shell without boxd, as for what is printed before that is there; it ends with the connection. Returns its exit code. Throws
   * `boxd_unreachable`, `host_key_mismatch`, `cancelled`.
   */
  execLines(command: string, onLine: (line: string) => void, signal?: AbortSignal): Promise<number>
  /** Ends the connection and every stream of it; boxd and its commands go on. */
  close(): void
}

/** Nothing is connected yet when it returns. */
export function openBoxdSsh(options: BoxdSshOptions): BoxdSsh {
  const { id, log, clock } = options
  const place = { keepaliveMs: 10_000, loginMs: 15_000, port: 22, ...options }
  const installation: Installation = { defaultUser: 'agent', ...options }
  const link = keepLink({ id, log, clock, connect: () => connect(place) })
  let installing: Promise<void> | undefined

  const install = (connection: Connection): Promise<void> => {
    installing ??= (async () => {
      const startedAt = clock.now()
      const { uploaded } = await installBoxd(connection, installation)
      log('info', 'boxd was started in a box by SSH.', { box: id, uploaded, ms: clock.now() - startedAt })
    })().finally(() => {
      installing = undefined
    })
    return installing
  }
  const open = async (connection: Connection): Promise<Duplex> => {
    let channel = await connection.forward(boxdSocket)
    if (!channel) {
      await install(connection)
      channel = await connection.forward(boxdSocket)
    }
    if (channel) return streamOver(channel, connection)
    throw unreachable(`The SSH server of box ${id} does not lead to boxd: AllowStreamLocalForwarding may be off.`)
  }
  const openFor = (connection: Connection, signal: AbortSignal | undefined): Promise<Duplex> => {
    const opening = open(connection)
    // Who gave up does not take the stream that still comes.
    if (signal) void opening.then((stream) => void (signal.aborted && stream.destroy()), ignore)
    return unless(signal, opening)
  }

  return {
    async connected(signal) {
      for (;;) {
        const reached = await link.get(signal).catch((error: unknown) => {
          if (signal.aborted || codeOf(error) !== 'boxd_unreachable') throw error
          return undefined
        })
        if (reached) return
      }
    },
    async dial(signal) {
      const first = await link.get(signal)
      try {
        return await openFor(first, signal)
      } catch (error) {
        // That it was lost is often only noticed by using it, and nothing was said yet.
        const second = codeOf(error) === 'boxd_unreachable' && !signal?.aborted ? await link.get(signal) : first
        if (second === first) throw error
        return await openFor(second, signal)
      }
    },
    async execLines(command, onLine, signal) {
      return await run(await link.get(signal), command, { onLine, signal })
    },
    close: () => link.close(),
  }
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code
const ignore = (): void => undefined
