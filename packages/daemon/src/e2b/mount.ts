import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { type E2bDoor, GibilError, type SetUpE2b } from '@gibil/contract'
import type { Certificate } from '@gibil/door-e2b'
import type { Api } from '../api.ts'
import { upgradeOf } from '../proxy/headers.ts'
import type { E2bMount } from './e2b-mount.ts'
import { passTo } from './pass.ts'

type Opened = {
  readonly door: E2bDoor
  readonly port: number
  renew(certificate: Certificate): void
  close(): Promise<void>
}
/** What is kept of a wish, beside the certificate. */
type Kept = Omit<SetUpE2b, 'certificate'>

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

  const open = async (wish: SetUpE2b, kept: Kept): Promise<E2bDoor> => {
    // Only who uses it pays for what it needs.
    const { certificateFiles, createDoor, openEdge, provideCertificate, ...given } = await import('@gibil/door-e2b')
    const shape = wish.shape ?? kept.shape ?? 'microvm'
    const port = wish.port ?? kept.port ?? usualPort
    const domain = wish.domain ?? kept.domain ?? `e2b.localhost:${port}`
    // Before anything is changed.
    const theirs = await theirsFor(given, { dir, domain, wish, log: api.log })
    const certificate = theirs ?? (await provideCertificate(dir, domain))
    const certificateAuthority = theirs ? null : certificateFiles(dir).ca
    const keep = async (): Promise<void> => {
      if (wish.certificate) await given.keepGiven(dir, wish.certificate)
      if (wish.certificate === null) await given.forgetGiven(dir)
      const settings: Kept = { shape, port: opened?.port ?? port, domain }
      await given.writePrivate(file, `${JSON.stringify(settings, null, 2)}\n`)
    }
    const was = opened
    // Another certificate alone cuts nothing.
    if (was?.port === port && was.door.shape === shape && was.door.domain === domain) {
      was.renew(certificate)
      opened = { ...was, door: { ...was.door, certificateAuthority } }
      await keep()
      return opened.door
    }
    await was?.close()
    opened = undefined
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
      volumeFiles: daemon.volumeFiles,
      ready: daemon.ready,
      stopping: AbortSignal.any([daemon.stopping, stopping.signal]),
      secret,
      settings: { shape, port, domain },
      ports: passTo(api),
      log,
    })
    const isUpgrade = (request: IncomingMessage): boolean => upgradeOf(request) !== undefined
    const edge = await openEdge(door, { port, certificate, isUpgrade }).catch(portTaken(port))
    const url = `http://127.0.0.1:${edge.port}`
    opened = {
      door: { url, domain, shape, certificateAuthority },
      port: edge.port,
      renew: edge.renew,
      close: () => {
        stopping.abort(new GibilError('interrupted', 'The door is being closed.'))
        return edge.close()
      },
    }
    await keep()
    return opened.door
  }

  const read = async (): Promise<Kept | undefined> => {
    const text = await readFile(file, 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as Kept)
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

type Given = Pick<typeof import('@gibil/door-e2b'), 'checkGiven' | 'readGiven'>

/**
 * The certificate that was given, now or before; undefined: one of this home's is to be had. Throws `invalid_request`. One that was good when it was
 * given is served whatever has become of it: clients say what is wrong with it, and what comes without TLS is served.
 */
async function theirsFor(
  { checkGiven, readGiven }: Given,
  { dir, wish: { certificate, domain: asked }, domain, log }: TheirsWish,
): Promise<Certificate | undefined> {
  if (certificate === null) return undefined
  const theirs = certificate ?? (await readGiven(dir))
  try {
    if (theirs) checkGiven(theirs, domain)
  } catch (error) {
    if (certificate ?? asked) throw error
    log.warn({ err: error }, 'the certificate of the E2B door is not good any more')
  }
  return theirs
}

interface TheirsWish extends Pick<Api, 'log'> {
  readonly dir: string
  readonly wish: SetUpE2b
  readonly domain: string
}

/** A port that is asked for must be free; the one of the last time should be, since programs know it. */
const portTaken =
  (port: number) =>
  (cause: unknown): never => {
    if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'EADDRINUSE') throw cause
    throw new GibilError('host_unfit', `The E2B door cannot listen on 127.0.0.1:${port}: something else does.`, {
      hint: 'Choose another port: gibil e2b setup --port 7444.',
      cause,
    })
  }
