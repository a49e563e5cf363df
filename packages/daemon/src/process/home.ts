import { createHash, randomBytes } from 'node:crypto'
import { link, lstat, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { DaemonFile, GibilError } from '@gibil/contract'

/** The longest path that the address of a unix socket holds: sun_path in unix(7), less its final NUL. */
const maxSocketPath = 107

/** Where things are in `$GIBIL_HOME`. */
export interface Home {
  readonly dir: string
  readonly daemonFile: string
  /** The port on which published ports were served last: their addresses are to outlive the daemon. */
  readonly visitorsFile: string
  /** The same of the port for ssh. */
  readonly sshPortFile: string
  /** What is kept for ssh: keys. */
  readonly sshDir: string
  readonly tokenFile: string
  readonly lockFile: string
  readonly logFile: string
  readonly database: string
  readonly boxLogs: string
  /** Of sessions: what they printed and changed. */
  readonly sessions: string
  /** Of the door that speaks E2B: settings and certificates. */
  readonly e2b: string
}

/** Makes the home directory if it is not there, readable by its owner alone. */
export async function openHome(path: string): Promise<Home> {
  const dir = resolve(path)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const at = (name: string): string => join(dir, name)
  return {
    dir,
    daemonFile: at('gibild.json'),
    visitorsFile: at('visitors.port'),
    sshPortFile: at('ssh.port'),
    sshDir: at('ssh'),
    tokenFile: at('token'),
    lockFile: at('gibild.lock'),
    logFile: at('gibild.log'),
    database: at('gibil.db'),
    boxLogs: at('logs'),
    sessions: at('sessions'),
    e2b: at('e2b'),
  }
}

/** The token of this home: 32 random bytes, made once. A damaged token file is an error, never replaced in silence. */
export async function readOrMakeToken(home: Home): Promise<string> {
  const fresh = `${home.tokenFile}.${process.pid}`
  await writeFile(fresh, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
  // A link fails when the name exists, so that a token is complete from the moment that it can be seen.
  await link(fresh, home.tokenFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(fresh)
  const token = (await readFile(home.tokenFile, 'utf8')).trim()
  if (token.length < 32) {
    throw new GibilError('host_unfit', `${home.tokenFile} does not hold a token.`, {
      hint: 'Remove that file; the daemon makes a new one at its next start.',
    })
  }
  return token
}

/**
 * Where to bind the socket `gibild.sock` of a home. A path that is too long for a socket goes through a short symbolic link
 * to the home directory; the socket itself is in the home either way.
 */
export async function socketPath(home: Home): Promise<string> {
  const direct = join(home.dir, 'gibild.sock')
  if (Buffer.byteLength(direct) <= maxSocketPath) return direct
  const name = `gibil-${createHash('sha256').update(home.dir).digest('hex').slice(0, 12)}`
  const short = join(process.getuid?.() === 0 ? '/run' : tmpdir(), name)
  await symlink(home.dir, short).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  // In a directory that everyone may write to, somebody else can have put the link there first.
  const found = await lstat(short)
  if (!found.isSymbolicLink() || found.uid !== userInfo().uid || (await readlink(short)) !== home.dir) {
    throw new GibilError('host_unfit', `${short} is in the way of the link to ${home.dir}.`, {
      hint: `Remove ${short}, or choose a shorter GIBIL_HOME.`,
    })
  }
  return join(short, 'gibild.sock')
}

/** What the last daemon of this home wrote, if it can be read. */
export async function readDaemonFile(home: Home): Promise<DaemonFile | undefined> {
  try {
    return DaemonFile.parse(JSON.parse(await readFile(home.daemonFile, 'utf8')))
  } catch {
    return undefined
  }
}

export async function writeDaemonFile(home: Home, content: DaemonFile): Promise<void> {
  const fresh = `${home.daemonFile}.${process.pid}`
  await writeFile(fresh, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  await rename(fresh, home.daemonFile)
}

/** Where something listened last. */
export async function readPort(file: string): Promise<number | undefined> {
  const port = Number(await readFile(file, 'utf8').catch(() => ''))
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined
}

export async function writePort(file: string, port: number): Promise<void> {
  const fresh = `${file}.${process.pid}`
  await writeFile(fresh, `${port}\n`, { mode: 0o600 })
  await rename(fresh, file)
}
