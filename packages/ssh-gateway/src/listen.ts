import { type AddressInfo, createServer, type Server } from 'node:net'
import type { SshGateway } from './gateway.ts'

/** That port or none; `auto`: that of the last time, else the usual one, else any that is free; `off`: none. */
export type SshPort = number | 'auto' | 'off'

export interface SshListener {
  /** Null when it does not listen, for the reason that `problem` gives. */
  readonly port: number | null
  readonly problem: string | null
  close(): Promise<void>
}

const usualPort = 7022
const maxConnections = 512
const host = '127.0.0.1'

/** Listens on 127.0.0.1; the daemon does its other work also without. Never rejects. */
export async function listenForSsh(
  gateway: SshGateway,
  wanted: SshPort,
  last: number | undefined,
): Promise<SshListener> {
  const nowhere = (problem: string): SshListener => ({ port: null, problem, close: async () => undefined })
  if (wanted === 'off') return nowhere('it is switched off (daemon.ssh)')
  const server = createServer({ noDelay: true }, (socket) => gateway.serve(socket))
  server.maxConnections = maxConnections
  const tries = wanted === 'auto' ? [last, usualPort, 0].filter((port) => port !== undefined) : [wanted]
  let problem = ''
  for (const port of tries) {
    try {
      return { port: await bind(server, port), problem: null, close: () => close(server) }
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
    }
  }
  return nowhere(`it cannot listen on ${host}:${wanted}: ${problem}`)
}

async function bind(server: Server, port: number): Promise<number> {
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
