import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type E2bDoor, GibilError, type SetUpE2b } from '@gibil/contract'
import type { Api } from '../api.ts'
import { upgradeOf } from '../proxy/headers.ts'
import type { E2bMount } from './e2b-mount.ts'
import { passTo } from './pass.ts'

type Opened = { readonly door: E2bDoor; close(): Promise<void> }

const usualPort = 7443

/** `dir`: where its settings and certificates are kept. */
export function mountE2b(dir: string, api: Api, secret: string): E2bMount {
  const file = join(dir, 'settings.json')
  let opened: Opened | undefined
  let turn: Promise<unknown> = Promise.resolve()
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const next = turn.then(work, work)
    turn = next.catch(() => undefined)
    return next
  }

  const open = async (wish: SetUpE2b, kept: SetUpE2b): Promise<E2bDoor> => {
    // Only who uses it pays for what it needs.
    const { certificateFiles, createDoor, openEdge, provideCertificate } = await import('@gibil/door-e2b')
    const shape = wish.shape ?? kept.shape ?? 'microvm'
    await opened?.close()
    opened = undefined
    const listen = async (port: number) => {
      const domain = wish.domain ?? kept.domain ?? `e2b.localhost:${port}`
      const certificate = await provideCertificate(dir, domain)
      const stopping = new AbortController()
      const { boxd, daemon, log } = api
      const door = createDoor({
        control: () => api.control,
        boxd,
        imageNames: async () => (await api.images.list()).map(({ name }) => name),
        // Looked up when they are asked for: the door opens before the daemon has them.
        images: {
          buildSteps: (input, options) => api.images.buildSteps(input, options),
          remove: (name, options) => api.images.remove(name, options),
        },
        templatesDir: join(dir, 'templates'),
        ready: daemon.ready,
        stopping: AbortSignal.any([daemon.stopping, stopping.signal]),
        secret,
        settings: { shape, port, domain },
        ports: passTo(api),
        log,
      })
      const edge = await openEdge(door, { port, certificate, isUpgrade: (request) => upgradeOf(request) !== undefined })
      const close = (): Promise<void> => {
        stopping.abort(new GibilError('interrupted', 'The door is being closed.'))
        return edge.close()
      }
      return { domain, edge, close }
    }
    const { domain, edge, close } = await onPort(wish.port, kept.port, listen)
    const url = `http://127.0.0.1:${edge.port}`
    opened = { door: { url, domain, shape, certificateAuthority: certificateFiles(dir).ca }, close }
    await keep({ shape, port: edge.port, domain })
    return opened.door
  }

  const keep = async (settings: SetUpE2b): Promise<void> => {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writeFile(`${file}.new`, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
  const read = async (): Promise<SetUpE2b | undefined> => {
    const text = await readFile(file, 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as SetUpE2b)
  }

  return {
    resume: () =>
      alone(async () => {
        const kept = await read()
        if (kept) await open({}, kept)
      }).catch((error) => api.log.warn({ err: error }, 'the E2B door is not open')),
    setUp: (wish) => alone(async () => open(wish, (await read()) ?? {})),
    state: () => opened?.door,
    close: () => alone(async () => opened?.close()),
  }
}

/** A port that is asked for must be free; the one of the last time should be, since programs know it. */
async function onPort<T>(
  asked: number | undefined,
  last: number | undefined,
  listen: (port: number) => Promise<T>,
): Promise<T> {
  const port = asked ?? last ?? usualPort
  try {
    return await listen(port)
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'EADDRINUSE') throw cause
    throw new GibilError('host_unfit', `The E2B door cannot listen on 127.0.0.1:${port}: something else does.`, {
      hint: 'Choose another port: gibil e2b setup --port 7444.',
      cause,
    })
  }
}
