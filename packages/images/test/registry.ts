/** A real registry (Debian's docker-registry) on a loopback port, with a user and a password. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { run } from './tools.ts'

export interface Registry {
  readonly address: string
  readonly storage: string
  stop(): Promise<void>
}

/** Of the Debian package of that name. */
const program = 'docker-registry'

export const credentials = { username: 'tester', password: 'se:cret pass' }

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** bcrypt, the only hash that the registry takes, by the host's libcrypt through Python's or Perl's crypt. */
const bcrypt = async (password: string): Promise<string> => {
  const salt = '$2b$05$abcdefghijklmnopqrstuu'
  const { stdout } = await run('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1])', password, salt])
  if (!stdout.startsWith('$2')) throw new Error('this host cannot make bcrypt hashes')
  return stdout
}

export const startRegistry = async (folder: string): Promise<Registry> => {
  const port = await freePort()
  const storage = join(folder, 'storage')
  await mkdir(storage, { recursive: true })
  await writeFile(join(folder, 'htpasswd'), `${credentials.username}:${await bcrypt(credentials.password)}\n`)
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: 'test' },
    auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } },
  }
  await writeFile(join(folder, 'config.yml'), JSON.stringify(config))
  const child = spawn(program, ['serve', join(folder, 'config.yml')], { stdio: 'ignore' })
  const address = `127.0.0.1:${port}`
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(`http://${address}/v2/`).catch(() => undefined)
    if (answer?.status === 401) break
    if (tries > 100 || child.exitCode !== null) throw new Error('the registry did not start')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    address,
    storage,
    stop: async () => {
      if (child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}
