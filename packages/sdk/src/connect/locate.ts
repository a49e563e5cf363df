import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { DaemonFile, GibilError } from '@gibil/contract'

export interface ConnectOptions {
  /** The daemon's home directory. Beats every environment variable. */
  readonly home?: string | undefined
  /** Address of a daemon's HTTP API, such as `http://127.0.0.1:7373`. Beats GIBIL_URL and GIBIL_HOME. */
  readonly url?: string | undefined
  /** Bearer token for `url`; else GIBIL_TOKEN. */
  readonly token?: string | undefined
  /** Where GIBIL_HOME, GIBIL_URL, GIBIL_TOKEN and HOME are read from; `process.env` by default. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/** Where a daemon is reached: the unix socket in its home, or HTTP with a token. */
export type Endpoint =
  | { readonly kind: 'socket'; readonly home: string; readonly path: string }
  | { readonly kind: 'http'; readonly url: URL; readonly token: string | undefined }

/** The home that holds the daemon's state: the option, else GIBIL_HOME, else /var/lib/gibil for root and ~/.gibil for others. */
export function gibilHome(options: Pick<ConnectOptions, 'home' | 'env'> = {}): string {
  const env = options.env ?? process.env
  const given = options.home ?? env['GIBIL_HOME']
  if (given) return resolve(given)
  return process.getuid?.() === 0 ? '/var/lib/gibil' : join(env['HOME'] ?? homedir(), '.gibil')
}

/** Finds the daemon without talking to it. Throws `invalid_request` for an address that is not http or https. */
export async function locate(options: ConnectOptions = {}): Promise<Endpoint> {
  const env = options.env ?? process.env
  const url = options.url ?? (options.home === undefined ? env['GIBIL_URL'] : undefined)
  if (url) return { kind: 'http', url: parseUrl(url), token: options.token ?? env['GIBIL_TOKEN'] }
  const home = gibilHome(options)
  return { kind: 'socket', home, path: await socketPath(home) }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new GibilError('invalid_request', `"${text}" is not the address of a daemon.`, {
      hint: 'Give an address such as http://127.0.0.1:7373 in GIBIL_URL, and its token in GIBIL_TOKEN.',
    })
  }
  return url
}

/** The socket that gibild.json names, since a daemon with a long home puts it elsewhere; else the usual place. */
async function socketPath(home: string): Promise<string> {
  const usual = join(home, 'gibild.sock')
  try {
    const parsed = DaemonFile.pick({ socket: true }).safeParse(
      JSON.parse(await readFile(join(home, 'gibild.json'), 'utf8')),
    )
    return parsed.success ? parsed.data.socket : usual
  } catch {
    return usual
  }
}
