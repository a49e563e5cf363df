import { mkdtemp, rm } from 'node:fs/promises'
import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { GibilError, type Image } from '@gibil/contract'
import type { ControlPlane } from '@gibil/core'
import type { Parts } from '../../src/engine.ts'
import { type DaemonOptions, type RunningDaemon, startDaemon } from '../../src/start-daemon.ts'

export interface TestDaemon extends AsyncDisposable {
  readonly home: string
  readonly daemon: RunningDaemon
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  open(method: string, path: string, options?: CallOptions): Promise<IncomingMessage>
  /** Breaks every request that has no answer yet. */
  dropRequests(): void
}

interface CallOptions {
  readonly body?: unknown
  readonly raw?: string | Buffer | Readable
  readonly headers?: Record<string, string>
  /** By TCP with these headers instead of the unix socket. */
  readonly tcp?: boolean
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  readonly json: unknown
}

const image: Image = {
  name: 'base',
  digest: 'sha256:00',
  source: 'recipe',
  sizeBytes: 1,
  layers: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  env: {},
  workdir: null,
  user: null,
}

const fakeImages: Parts['images'] = {
  list: async () => [image],
  pull: async () => image,
  build: async (input) => ({ ...image, name: input.name }),
  buildSteps: async (input) => ({ ...image, name: input.name }),
  cloudScript: async (recipe) => `#!/bin/sh\necho ${recipe}\n`,
  importTar: async (name, tar) => ({ ...image, name, sizeBytes: (await buffer(tar)).length }),
  remove: async () => undefined,
  prune: async () => ({ removed: [], freedBytes: 0 }),
}

const unreachable: Parts['boxd'] = (ref) => {
  throw new GibilError('boxd_unreachable', `The box ${ref} has no boxd.`)
}

/** A daemon in this process over a control plane of the test, in a home of its own that goes away with it. */
export async function startTestDaemon(
  plane: ControlPlane,
  options: Partial<DaemonOptions> & { readonly boxd?: Parts['boxd'] } = {},
): Promise<TestDaemon> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'gibild-test-')))
  const parts: Parts = {
    plane,
    images: fakeImages,
    boxd: options.boxd ?? unreachable,
    hostChecks: async () => [],
    volumeFiles: (id) => {
      throw new GibilError('volume_not_found', `There is no volume ${id}.`)
    },
    close: async () => undefined,
  }
  return drive(home, await startDaemon({ home, logLevel: 'silent', compose: async () => parts, ...options }))
}

/** A daemon in this process with its real parts. Where boxes are kept needs more room than a temporary directory may have. */
export async function startRealDaemon(): Promise<TestDaemon> {
  const home = await mkdtemp('/var/tmp/gibild-test-')
  return drive(home, await startDaemon({ home, logLevel: 'debug' }))
}

function drive(home: string, daemon: RunningDaemon): TestDaemon {
  const running = new Set<ClientRequest>()
  const open: TestDaemon['open'] = (method, path, { body, raw, headers = {}, tcp } = {}) => {
    const where: RequestOptions = tcp
      ? { host: '127.0.0.1', port: new URL(daemon.url).port }
      : { socketPath: daemon.socketPath }
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...where, method, path: `/v1${path}`, headers: { ...json, ...headers } }, resolve)
      outgoing.on('error', reject)
      outgoing.on('response', () => running.delete(outgoing))
      running.add(outgoing)
      if (raw !== undefined && typeof raw !== 'string' && !Buffer.isBuffer(raw)) raw.pipe(outgoing)
      else outgoing.end(raw ?? (body === undefined ? undefined : JSON.stringify(body)))
    })
  }

  return {
    home,
    daemon,
    open,
    dropRequests: () => {
      for (const outgoing of running) outgoing.destroy()
    },
    async call(method, path, callOptions) {
      const response = await open(method, path, callOptions)
      const text = (await buffer(response)).toString('utf8')
      const isJson = text !== '' && response.headers['content-type']?.startsWith('application/json')
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        text,
        json: isJson ? JSON.parse(text) : undefined,
      }
    },
    async [Symbol.asyncDispose]() {
      try {
        await daemon.stop()
      } finally {
        await rm(home, { recursive: true, force: true })
      }
    },
  }
}
