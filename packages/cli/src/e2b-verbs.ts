import { type E2bDoor, GibilError, type SetUpE2b } from '@gibil/sdk'
import type { Session } from './session.ts'

interface SetupFlags extends SetUpE2b {
  readonly tls?: boolean
  readonly key?: string
}

/** The verbs below `gibil e2b`. */
export const e2bVerbs = { setup }

async function setup(session: Session, { tls = false, key = 'e2b', ...wish }: SetupFlags): Promise<void> {
  const { gibil, signal, colors } = session
  const { shape, port, domain } = wish
  const door = await gibil.e2b.setUp({ shape, port, domain }, { signal })
  const secret = await newKey(session, key)
  const variables = variablesOf(door, secret, tls)
  session.emit({ door, variables }, () =>
    Object.entries(variables)
      .map(([name, value]) => `export ${name}=${value}\n`)
      .join(''),
  )
  session.note(`${colors.green('✓')} the E2B door is open at ${door.url}; sandboxes are made as ${door.shape}\n`)
  if (secret === undefined) {
    session.note(`  the key of the token ${key} was shown when it was made; another: gibil token create <name> --e2b\n`)
  }
  session.note(
    tls
      ? `  names below ${door.domain} must lead to 127.0.0.1; what is not Node is told to trust ${door.certificateAuthority}\n`
      : '  by TLS and host names, as E2B itself: gibil e2b setup --tls\n',
  )
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
      ? { E2B_DOMAIN: door.domain, NODE_EXTRA_CA_CERTS: door.certificateAuthority }
      : { E2B_API_URL: door.url, E2B_SANDBOX_URL: door.url }),
  }
}
