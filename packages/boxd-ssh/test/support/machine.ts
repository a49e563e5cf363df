import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { makeSshKey } from '@gibil/boxd-ssh'

const root = resolve(import.meta.dirname, '../../../..')

/** Debian's own SSH server and a user `agent` with sudo, in a copy of this machine that is thrown away: nothing of it is on the host afterwards. */
export interface Machine extends AsyncDisposable {
  readonly port: number
  readonly hostKey: string
  readonly privateKey: string
  readonly boxdBinary: string
  /** A directory of the host for the files of a test. */
  readonly dir: string
}

/** First an overlay over the host's own root, then the server as process 1 of a pid namespace: with it ends all that was started by SSH. */
const bootScript = `set -eu
mount -t tmpfs tmpfs "$1/disk"
mkdir "$1/disk/upper" "$1/disk/work" "$1/disk/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/disk/upper,workdir=$1/disk/work" "$1/disk/root"
cd "$1/disk/root"
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount --rbind /dev dev
mount -t tmpfs tmpfs usr/local/lib
mkdir -p run/sshd etc/gibil-ssh etc/sudoers.d
cp "$1"/keys/* etc/gibil-ssh
chmod 600 etc/gibil-ssh/host_key
echo 'agent ALL=(ALL) NOPASSWD: ALL' > etc/sudoers.d/agent
chroot . sh -c 'id agent > /dev/null 2>&1 || useradd --create-home --shell /bin/bash agent; usermod --password "*" agent'
exec chroot . /usr/sbin/sshd -D -e -f /etc/gibil-ssh/sshd_config`

export async function startMachine(): Promise<Machine> {
  const dir = await mkdtemp(join(tmpdir(), 'gibil-ssh-'))
  const port = await freePort()
  const hostKey = makeSshKey('host')
  const login = makeSshKey('login')
  await mkdir(join(dir, 'disk'))
  await mkdir(join(dir, 'keys'))
  await promisify(execFile)('sh', [join(root, 'boxd/build.sh'), dir])
  await writeFile(join(dir, 'keys/host_key'), hostKey.privateKey, { mode: 0o600 })
  await writeFile(join(dir, 'keys/authorized_keys'), `${login.publicKey}\n`)
  await writeFile(
    join(dir, 'keys/sshd_config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      'HostKey /etc/gibil-ssh/host_key',
      'AuthorizedKeysFile /etc/gibil-ssh/authorized_keys',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin no',
      'StrictModes no',
      'UsePAM no',
      '',
    ].join('\n'),
  )
  const said: Buffer[] = []
  const isolate = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child']
  const child = spawn('unshare', [...isolate, 'sh', '-c', bootScript, 'sh', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  child.stderr.on('data', (chunk: Buffer) => void said.push(chunk))
  await listening(child, port).catch((error: unknown) => {
    throw new Error(`sshd does not listen: ${Buffer.concat(said)}`, { cause: error })
  })
  return {
    port,
    dir,
    hostKey: hostKey.publicKey,
    privateKey: login.privateKey,
    boxdBinary: join(dir, 'boxd'),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    if (await answers(port)) return
    await sleep(25)
  }
  throw new Error('it takes too long')
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', () => done(false))
    socket.once('connect', () => {
      socket.destroy()
      done(true)
    })
  })
}
