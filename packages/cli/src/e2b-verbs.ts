import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type E2bDoor, GibilError, type SetUpE2b } from '@gibil/sdk'
import { ensureImage } from './needed-image.ts'
import type { Session } from './session.ts'

interface SetupFlags extends Omit<SetUpE2b, 'certificate'> {
  readonly tls?: boolean
  readonly cert?: string
  readonly key?: string
  readonly token?: string
  readonly build: boolean
}

/** The verbs below `gibil e2b`. */
export const e2bVerbs = { setup }

const cost = "The image e2b is built first, once: what E2B's template base has."

async function setup(session: Session, flags: SetupFlags): Promise<void> {
  const { tls = false, cert, key, token = 'e2b', build, ...wish } = flags
  const { gibil, signal, colors } = session
  const { shape, port, domain } = wish
  const certificate = await certificateOf(session, cert, key)
  if (build) await ensureImage(session, 'e2b', cost)
  const door = await gibil.e2b.setUp({ shape, port, domain, certificate }, { signal })
  const secret = await newKey(session, token)
  const variables = variablesOf(door, secret, tls)
  session.emit({ door, variables }, () =>
    Object.entries(variables)
      .map(([name, value]) => `export ${name}=${value}\n`)
      .join(''),
  )
  session.note(`${colors.green('✓')} the E2B door is open at ${door.url}; sandboxes are made as ${door.shape}\n`)
  if (secret === undefined) {
    session.note(
      `  the key of the token ${token} was shown when it was made; another: gibil token create <name> --e2b\n`,
    )
  }
  session.note(
    tls
      ? `  names below ${door.domain} must lead to 127.0.0.1${trustOf(door)}\n`
      : '  by TLS and host names, as E2B itself: gibil e2b setup --tls\n',
  )
}

const trustOf = ({ certificateAuthority }: E2bDoor): string =>
  certificateAuthority === null ? '' : `; what is not Node is told to trust ${certificateAuthority}`

async function certificateOf(
  { cwd }: Session,
  cert: string | undefined,
  key: string | undefined,
): Promise<SetUpE2b['certificate']> {
  if (cert === 'none' && key === undefined) return null
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) {
    throw new GibilError('invalid_request', 'A certificate and its key go together: --cert FILE --key FILE.')
  }
  const read = (file: string): Promise<string> =>
    readFile(resolve(cwd, file), 'utf8').catch((cause) => {
      throw new GibilError('invalid_path', `${file} cannot be read.`, { cause })
    })
  return { cert: await read(cert), key: await read(key) }
}

/** Undefined when the token is there already: its secret is not kept. */
async function newKey({ gibil, signal }: Session, name: string): Promise<string | undefined> {
  try {
    return (await gibil.tokens.create({ name, form: 'e2b' }, { signal })).secret
  } catch (error) {
    if (GibilError.is(error) && error.code === 'name_in_use') return undefined
    throw error
  }
}

/** What SDKs of E2B read from their environment. */
function variablesOf(door: E2bDoor, key: string | undefined, tls: boolean): Record<string, string> {
  return {
    ...(key === undefined ? {} : { E2B_API_KEY: key }),
    ...(tls
      ? {
          E2B_DOMAIN: door.domain,
          ...(door.certificateAuthority === null ? {} : { NODE_EXTRA_CA_CERTS: door.certificateAuthority }),
        }
      : { E2B_API_URL: door.url, E2B_SANDBOX_URL: door.url, E2B_VOLUME_API_URL: door.url }),
  }
}
