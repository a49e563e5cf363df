import { rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import { GibilError } from '@gibil/contract'
import type { Application } from './http/application.ts'
import { closeServer, createHttpServer, listenOnLoopback, listenOnSocket } from './http/server.ts'
import type { WebSockets } from './websocket/upgrade.ts'

export interface Listeners {
  readonly url: string
  /** Stops accepting, lets running responses end for so long, then breaks what is left. */
  close(graceMs: number): Promise<void>
}

export interface ListenOptions {
  readonly socketPath: string
  /** One that was asked for must be free. */
  readonly port: number | undefined
  /** Where it would be good to be, so that addresses stay the same from one daemon to the next. */
  readonly preferredUrl: string | undefined
}

/** Listens on the unix socket and on 127.0.0.1; both or none. Throws `host_unfit`. */
export async function openListeners(
  app: Application,
  webSockets: WebSockets,
  { socketPath, port, preferredUrl }: ListenOptions,
): Promise<Listeners> {
  const local = createHttpServer(app, { trusted: true })
  const tcp = createHttpServer(app, { trusted: false })
  webSockets.attach(local, { trusted: true })
  webSockets.attach(tcp, { trusted: false })
  const close = async (graceMs: number): Promise<void> => {
    webSockets.close()
    await Promise.all([local, tcp].filter((server) => server.listening).map((server) => closeServer(server, graceMs)))
    await rm(socketPath, { force: true })
  }
  try {
    await listenOnSocket(local, socketPath)
    const bound = port ? await exactly(tcp, port) : await preferably(tcp, preferredUrl)
    return { url: `http://127.0.0.1:${bound}`, close }
  } catch (error) {
    await close(0)
    throw error
  }
}

function exactly(server: Server, port: number): Promise<number> {
  return listenOnLoopback(server, port).catch((cause: Error) => {
    throw new GibilError('host_unfit', `Port ${port} cannot be used: ${cause.message}.`, {
      hint: 'Choose another with --port, or leave it out to take a free one.',
      cause,
    })
  })
}

function preferably(server: Server, url: string | undefined): Promise<number> {
  const before = Number(url === undefined ? 0 : new URL(url).port)
  return listenOnLoopback(server, before).catch(() => listenOnLoopback(server, 0))
}
