import { type AddressInfo, createServer, type Server } from 'node:net'
import type { SshGateway } from './gateway.ts'

export interface SshAddress {
  /** An IP address of this host, or `0.0.0.0` or `::` for all. */
  readonly host: string
  /** That port or none; `auto`: that of the last time, else the usual one, else any that is free. */
  readonly port: number | 'auto'
}

export interface SshListener {
  /** Both are null when it does not listen, for the reason that `problem` gives. */
  readonly host: string | null
  readonly port: number | null
  readonly problem: string | null
  close(): Promise<void>
}

const usualPort = 7022
const maxConnections = 512

/** The daemon does its other work also without. Never rejects. */
export async function listenForSsh(
  gateway: SshGateway,
  wanted: SshAddress | 'off',
  last: number | undefined,
): Promise<SshListener> {
  const nowhere = (problem: string): SshListener => ({ host: null, port: null, problem, close: async () => undefined })
  if (wanted === 'off') return nowhere('it is switched off (daemon.ssh)')
  const { host } = wanted
  const server = createServer({ noDelay: true }, (socket) => gateway.serve(socket))
  server.maxConnections = maxConnections
  const tries = wanted.port === 'auto' ? [last, usualPort, 0].filter((port) => port !== undefined) : [wanted.port]
  let problem = ''
  for (const port of tries) {
    try {
      return { host, port: await bind(server, host, port), problem: null, close: () => close(server) }
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
    }
  }
  return nowhere(`it cannot listen on ${host}, port ${wanted.port}: ${problem}`)
}

async function bind(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return (server.address() as AddressInfo).port
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
