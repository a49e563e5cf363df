import { rm } from 'node:fs/promises'
import { apiVersion, GibilError, type Health, type ProxyState } from '@gibil/contract'
import type { ServerFactory } from '@gibil/mcp'
import type { SshAddress } from '@gibil/ssh-gateway'
import type { Logger } from 'pino'
import type { Api } from './api.ts'
import type { OpenApiDocument } from './documents/document.ts'
import { mountE2b } from './e2b/mount.ts'
import { type Compose, startEngine } from './engine.ts'
import { createApplication } from './http/application.ts'
import { mountMcp } from './http/mcp.ts'
import { createOpenCalls } from './http/open-calls.ts'
import { openListeners } from './listeners.ts'
import { createMetrics } from './metrics.ts'
import {
  type Home,
  openHome,
  readDaemonFile,
  readOrMakeToken,
  readPort,
  socketPath,
  writeDaemonFile,
  writePort,
} from './process/home.ts'
import { takeInstanceLock } from './process/instance-lock.ts'
import { createLog } from './process/log.ts'
import type { LogLevel } from './process/log-level.ts'
import { listenForVisitors, type ProxyListener, type ProxyPort } from './proxy/listen.ts'
import { createOpenVisits } from './proxy/open-visits.ts'
import { createProxy } from './proxy/serve.ts'
import { routes } from './routes/index.ts'
import { createOutputBudgets } from './routes/output-budget.ts'
import { createSshDoor } from './ssh-door.ts'
import { version } from './version.ts'
import { webSocketHandlers } from './websocket/index.ts'
import { createWebSockets } from './websocket/upgrade.ts'

export interface DaemonOptions {
  readonly home: string
  /** On 127.0.0.1; default: that of the last time if it is free, else any. */
  readonly port?: number
  /** Log to standard error instead of `gibild.log` in the home. */
  readonly foreground?: boolean
  readonly logLevel?: LogLevel
  /** Spare boxes made ahead, at most; default 0. */
  readonly pool?: number
  /** Where published ports are served; default `off`. */
  readonly proxy?: ProxyPort
  /** Where stock clients of ssh reach boxes; default `off`. */
  readonly ssh?: SshAddress | 'off'
  /** Where a test wants the process to be killed. */
  readonly failpoint?: string
  readonly compose?: Compose
  /** What a test serves at /mcp instead of the tools. */
  readonly mcpServer?: ServerFactory
}

export interface RunningDaemon {
  readonly log: Logger
  /** Resolves when boxes are served. */
  readonly ready: Promise<void>
  readonly socketPath: string
  readonly url: string
  readonly token: string
  /** Resolves when the daemon has stopped; rejects when it had to, since it could not start its work or let go of it. */
  readonly stopped: Promise<void>
  /** Stops accepting, lets running responses end for at most 10 s, lets go of everything. Boxes keep running. Never rejects: see `stopped`. */
  stop(): Promise<void>
}

const stopGraceMs = 10_000

/**
 * Starts a daemon in this process. It listens before its parts are made and have finished what an earlier daemon began:
 * calls about boxes wait for that. Throws `wrong_state` when another daemon has this home, `host_unfit` when it cannot listen.
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
  let status: Health['status'] = 'starting'
  let document: Promise<OpenApiDocument> | undefined
  const stopping = new AbortController()
  const ended = Promise.withResolvers<void>()
  // Nobody may be asking how it ended.
  ended.promise.catch(() => undefined)
  const go = Promise.withResolvers<void>()
  const engine = startEngine(async () => {
    await go.promise
    const compose = options.compose ?? (await import('./compose.ts')).compose
    return compose(home, log, { failpoint: options.failpoint, pool: options.pool ?? 0 })
  })

  const outputOf = createOutputBudgets()
  let visitors: ProxyListener | undefined
  const proxyState = (): ProxyState => ({
    port: visitors?.port ?? null,
    problem: visitors ? visitors.problem : 'the daemon is starting',
  })
  const api: Api = {
    get plane() {
      return engine.parts().plane
    },
    get control() {
      return engine.parts().plane
    },
    get images() {
      return engine.parts().images
    },
    boxd: (...where) => engine.parts().boxd(...where),
    hostChecks: () => engine.parts().hostChecks(),
    output: outputOf(null),
    metrics: createMetrics(),
    log,
    daemon: {
      token,
      openCalls: createOpenCalls(),
      outputOf,
      status: () => status,
      version: () => ({
        name: 'gibild',
        version,
        api: apiVersion,
        home: home.dir,
        pid: process.pid,
        startedAt: begin.toISOString(),
        uptimeMs: Date.now() - begin.getTime(),
        shapes: engine.shapes(),
        proxy: proxyState(),
      }),
      ready: engine.ready,
      volumeFiles: (id) => engine.parts().volumeFiles(id),
      proxy: { state: proxyState, visits: createOpenVisits() },
      get e2b() {
        return e2b
      },
      ssh: createSshDoor({ home, wanted: options.ssh ?? 'off', boxes: () => api, log }),
      stopping: stopping.signal,
      document: () => {
        document ??= import('./documents/openapi.ts').then(({ openApiDocument }) => openApiDocument(routes, version))
        return document
      },
      requestStop: () => void setImmediate(() => stop()),
    },
  }
  const e2b = mountE2b(home.e2b, api, token)
  const webSockets = createWebSockets(webSocketHandlers, api)
  const app = createApplication(routes, api)
  mountMcp(app, api, options.mcpServer)
  const listeners = await openListeners(app, webSockets, {
    socketPath: path,
    port: options.port,
    preferredUrl: last?.url,
  })
  const { url } = listeners
  const lastPort = await readPort(home.visitorsFile)
  visitors = await listenForVisitors(createProxy(api), options.proxy ?? 'off', lastPort)
  if (visitors.port !== null && visitors.port !== lastPort) {
    const failed = (error: unknown): void =>
      log.warn({ err: error }, 'published ports may have another address next time')
    await writePort(home.visitorsFile, visitors.port).catch(failed)
  }
  if (visitors.problem && options.proxy !== 'off' && options.proxy !== undefined) {
    log.warn({ problem: visitors.problem }, 'published ports are not served')
  }

  function stop(failure?: GibilError): void {
    if (status === 'stopping') return
    status = 'stopping'
    shutDown(failure).then(ended.resolve, ended.reject)
  }
  async function shutDown(failure: GibilError | undefined): Promise<void> {
    log.info('stopping')
    engine.refuse()
    stopping.abort(new GibilError('interrupted', 'The daemon is stopping.'))
    try {
      await Promise.all([listeners.close(stopGraceMs), visitors?.close(), e2b.close(), api.daemon.ssh.close()])
      await engine.close()
    } finally {
      await rm(home.daemonFile, { force: true })
      release()
      log.info('stopped')
    }
    if (failure !== undefined) throw failure
  }

  // Whoever reads that the daemon is there may come to its doors.
  await e2b.resume()
  const startedAt = begin.toISOString()
  const proxy = visitors.port
  const content = { version, api: apiVersion, pid: process.pid, home: home.dir, socket: path, url, proxy, startedAt }
  await writeDaemonFile(home, content).catch(async (error: unknown) => {
    await Promise.all([listeners.close(0), visitors?.close(), e2b.close()])
    throw error
  })
  log.info({ version, home: home.dir, socket: path, url, proxy }, 'listening')
  engine.ready.then(
    () => {
      if (status === 'starting') status = 'ok'
      log.info({ ms: Date.now() - begin.getTime() }, 'ready')
    },
    (error: unknown) => {
      if (status === 'stopping') return
      log.fatal({ err: error }, 'the daemon cannot do its work')
      stop(GibilError.from(error))
    },
  )
  go.resolve()
  if (options.ssh !== 'off' && options.ssh !== undefined) {
    api.daemon.ssh.state().catch((error: unknown) => log.warn({ err: error }, 'ssh is not served'))
  }
  return {
    log,
    ready: engine.ready,
    socketPath: path,
    url,
    token,
    stopped: ended.promise,
    stop: () => {
      stop()
      return ended.promise.catch(() => undefined)
    },
  }
}
