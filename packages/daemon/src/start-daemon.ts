import { rm } from 'node:fs/promises'
import { apiVersion, type DaemonFile, GibilError, type Health, type Version } from '@gibil/contract'
import type { ControlPlane } from '@gibil/core'
import type { Logger } from 'pino'
import type { Api, ImageService } from './api.ts'
import type { OpenApiDocument } from './documents/openapi.ts'
import { createApplication } from './http/application.ts'
import { closeServer, createHttpServer, listenOnLoopback, listenOnSocket } from './http/server.ts'
import { createMetrics } from './metrics.ts'
import { type Home, openHome, readDaemonFile, readOrMakeToken, socketPath, writeDaemonFile } from './process/home.ts'
import { takeInstanceLock } from './process/instance-lock.ts'
import { createLog, type LogLevel } from './process/log.ts'
import { routes } from './routes/index.ts'
import { version } from './version.ts'
import { webSocketHandlers } from './websocket/index.ts'
import { createWebSockets } from './websocket/upgrade.ts'

/** The parts that serve boxes; `compose` makes the real ones. */
export interface Parts {
  readonly plane: ControlPlane
  readonly images: ImageService
  readonly boxd: Api['boxd']
  readonly shapes: () => Version['shapes']
  /** Lets go of everything; boxes keep running. */
  close(): Promise<void>
}

export type Compose = (home: Home, log: Logger, options: { readonly failpoint: string | undefined }) => Promise<Parts>

export interface DaemonOptions {
  readonly home: string
  /** On 127.0.0.1; default: that of the last time if it is free, else any. */
  readonly port?: number
  /** Log to standard error instead of `gibild.log` in the home. */
  readonly foreground?: boolean
  readonly logLevel?: LogLevel
  /** Where a test wants the process to be killed. */
  readonly failpoint?: string
  readonly compose?: Compose
}

export interface RunningDaemon {
  readonly log: Logger
  readonly socketPath: string
  readonly url: string
  readonly token: string
  /** Resolves when the daemon has stopped, for whatever reason; rejects when it could not start its work. */
  readonly stopped: Promise<void>
  /** Stops accepting, lets running responses end for at most 10 s, lets go of everything. Boxes keep running. Never rejects: see `stopped`. */
  stop(): Promise<void>
}

const stopGraceMs = 10_000

/**
 * Starts a daemon in this process. It listens before its control plane has finished what an earlier one began: calls about
 * boxes wait for that. Throws `wrong_state` when another daemon has this home.
 */
export async function startDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  const home = await openHome(options.home)
  const lock = takeInstanceLock(home.lockFile)
  try {
    return await startLocked(home, lock.release, options)
  } catch (error) {
    lock.release()
    throw error
  }
}

async function startLocked(home: Home, release: () => void, options: DaemonOptions): Promise<RunningDaemon> {
  const log = createLog({ level: options.logLevel ?? 'info', file: options.foreground ? undefined : home.logFile })
  const begin = new Date()
  const [token, last, path] = await Promise.all([readOrMakeToken(home), readDaemonFile(home), socketPath(home)])
  const compose = options.compose ?? (await import('./compose.ts')).compose
  const parts = await compose(home, log, { failpoint: options.failpoint })

  let status: Health['status'] = 'starting'
  const stopping = new AbortController()
  const started = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  // Both are also awaited by nobody, when no call comes and nobody asks how it ended.
  started.promise.catch(() => undefined)
  ended.promise.catch(() => undefined)
  let document: Promise<OpenApiDocument> | undefined

  const api: Api = {
    plane: parts.plane,
    images: parts.images,
    boxd: parts.boxd,
    metrics: createMetrics(),
    log,
    daemon: {
      token,
      status: () => status,
      version: () => ({
        name: 'gibild',
        version,
        api: apiVersion,
        home: home.dir,
        pid: process.pid,
        startedAt: begin.toISOString(),
        uptimeMs: Date.now() - begin.getTime(),
        shapes: parts.shapes(),
      }),
      ready: started.promise,
      stopping: stopping.signal,
      document: () => {
        document ??= import('./documents/openapi.ts').then(({ openApiDocument }) => openApiDocument(routes, version))
        return document
      },
      requestStop: () => void setImmediate(() => void stop().catch(() => undefined)),
    },
  }
  const app = createApplication(routes, api)
  const webSockets = createWebSockets(webSocketHandlers, api)
  const local = createHttpServer(app, { trusted: true })
  const tcp = createHttpServer(app, { trusted: false })
  webSockets.attach(local, { trusted: true })
  webSockets.attach(tcp, { trusted: false })

  const stop = (failure?: unknown): Promise<void> => {
    if (status !== 'stopping') {
      status = 'stopping'
      shutDown(failure).then(ended.resolve, ended.reject)
    }
    return ended.promise
  }
  async function shutDown(failure: unknown): Promise<void> {
    log.info('stopping')
    started.reject(new GibilError('interrupted', 'The daemon is stopping.'))
    stopping.abort(new GibilError('interrupted', 'The daemon is stopping.'))
    webSockets.close()
    await Promise.all([local, tcp].map((server) => closeServer(server, stopGraceMs)))
    try {
      await parts.plane.stop()
      await parts.close()
    } finally {
      await Promise.all([rm(home.daemonFile, { force: true }), rm(path, { force: true })])
      release()
      log.info('stopped')
    }
    if (failure !== undefined) throw failure
  }

  try {
    await listenOnSocket(local, path)
    const port = await listen(tcp, options.port, last)
    const url = `http://127.0.0.1:${port}`
    await writeDaemonFile(home, {
      version,
      api: apiVersion,
      pid: process.pid,
      home: home.dir,
      socket: path,
      url,
      startedAt: begin.toISOString(),
    })
    log.info({ pid: process.pid, version, home: home.dir, socket: path, url }, 'listening')
    parts.plane.start().then(
      () => {
        if (status === 'starting') status = 'ok'
        started.resolve()
        log.info({ ms: Date.now() - begin.getTime() }, 'ready')
      },
      (error: unknown) => {
        log.fatal({ err: error }, 'the control plane could not start')
        started.reject(error)
        stop(error).catch(() => undefined)
      },
    )
    return { log, socketPath: path, url, token, stopped: ended.promise, stop: () => stop().catch(() => undefined) }
  } catch (error) {
    await Promise.allSettled([closeServer(local, 0), closeServer(tcp, 0), parts.close()])
    throw error
  }
}

/** A port that was asked for must be free; that of the last time is only preferred, so that addresses stay good. */
async function listen(
  server: Parameters<typeof listenOnLoopback>[0],
  port: number | undefined,
  last: DaemonFile | undefined,
): Promise<number> {
  if (port !== undefined && port !== 0) {
    return listenOnLoopback(server, port).catch((cause: NodeJS.ErrnoException) => {
      throw new GibilError('host_unfit', `Port ${port} cannot be used: ${cause.message}.`, {
        hint: 'Choose another with --port, or leave it out to take a free one.',
        cause,
      })
    })
  }
  const before = Number(last ? new URL(last.url).port : 0)
  return listenOnLoopback(server, before).catch(() => listenOnLoopback(server, 0))
}
