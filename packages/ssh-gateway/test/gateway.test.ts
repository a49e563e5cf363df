import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeHome, type TestHome } from '../../../test/support/home.ts'
import { type OpenSsh, openSsh } from './support/openssh.ts'

let home: TestHome
let dir: string
let client: OpenSsh

beforeAll(async () => {
  home = await makeHome()
  dir = await mkdtemp(join(tmpdir(), 'gibil-gateway-'))
  const started = await home.startDaemon({ HOME: dir })
  expect(started.exitCode, started.stderr).toBe(0)
  await must('create', '--name', 'work')
  client = await openSsh(home.path, dir, join(dir, 'key'))
  const made = await client.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', client.key])
  expect(made.exitCode, made.stderr).toBe(0)
})
afterAll(async () => {
  await home?.[Symbol.asyncDispose]()
  if (dir) await rm(dir, { recursive: true, force: true })
})

async function must(...args: string[]): Promise<string> {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
/** What a command printed that went well. */
async function ssh(...args: string[]): Promise<string> {
  const result = await client.ssh(...args)
  expect(result.exitCode, result.stderr).toBe(0)
  return result.stdout
}
const inBox = (script: string): Promise<string> => must('run', 'work', '--', 'sh', '-c', script)

describe('who comes in', () => {
  test('is nobody without a key that was admitted', async () => {
    const refused = await client.ssh('work', 'true')
    expect(refused.exitCode).toBe(255)
    expect(refused.stderr).toContain('Permission denied (publickey)')
    // The same for a box that there is not: who has no key learns no names.
    expect((await client.ssh('nothing', 'true')).stderr.replace('nothing@', 'work@')).toBe(refused.stderr)
  })

  test('is whose key the home lists, at once', async () => {
    await writeFile(join(home.path, 'ssh/authorized_keys'), `# mine\n${await readFile(`${client.key}.pub`, 'utf8')}`)
    expect(await ssh('-l', 'work', 'host', 'id -un; pwd')).toBe('agent\n/home/agent\n')
    expect(await ssh('-l', 'root+work', 'host', 'id -un; pwd')).toBe('root\n/root\n')
  })

  test('is the user by his own keys, whose private half is there too', async () => {
    await mkdir(join(dir, '.ssh'))
    const own = join(dir, '.ssh/id_rsa')
    await client.run('ssh-keygen', ['-q', '-t', 'rsa', '-N', '', '-f', own])
    const by = (key: string) => client.ssh('-o', `IdentityFile=${key}`, '-l', 'work', 'host', 'echo in')
    expect((await by(own)).stdout).toBe('in\n')
    const kept = join(dir, 'kept')
    await client.run('mv', [own, kept])
    await client.run('mv', [`${client.key}`, `${client.key}.away`])
    expect((await by(kept)).exitCode).toBe(255)
    await client.run('mv', [`${client.key}.away`, client.key])
  })

  test('is sent away at once where a hundred others are about to log in', async () => {
    const others = Array.from({ length: 100 }, () => connect(client.port, '127.0.0.1'))
    await Promise.all(others.map((other) => once(other, 'data')))
    expect((await client.ssh('-l', 'work', 'host', 'true')).exitCode).toBe(255)
    await Promise.all(others.map((other) => once(other.destroy(), 'close')))
    await expect.poll(async () => (await client.ssh('-l', 'work', 'host', 'echo in')).stdout).toBe('in\n')
  })

  test('is told of a box that is not there, with the nearest name', async () => {
    const unknown = await client.ssh('-l', 'wrok', 'host', 'true')
    expect(unknown.exitCode).toBe(255)
    expect(unknown.stderr).toContain('There is no box "wrok"')
    expect(unknown.stderr).toContain('"work"')
    expect((await client.ssh('-l', 'nobody-here+work', 'host', 'true')).stderr).toContain('no user')
  })
})

const work = ['-l', 'work', 'host'] as const

describe('a command', () => {
  test('has its streams apart, its exit status, and signals', async () => {
    const result = await client.ssh(...work, 'echo out; echo err >&2; exit 7')
    expect(result).toMatchObject({ exitCode: 7, stdout: 'out\n', stderr: 'err\n' })
    expect((await client.ssh(...work, 'kill -TERM $$')).exitCode).toBe(255)
    expect((await client.ssh(...work, 'no-such-program')).exitCode).toBe(127)
  })

  test('gets names of the environment that are fit for it, and no others', async () => {
    const set = ['-o', 'SetEnv=LC_TEST=a TZ=Europe/Rome LD_PRELOAD=/x BASH_ENV=/y']
    expect(await ssh(...set, ...work, 'echo "$LC_TEST|$TZ|$LD_PRELOAD|$BASH_ENV|$SSH_CONNECTION"')).toBe(
      'a|Europe/Rome|||127.0.0.1 0 127.0.0.1 22\n',
    )
  })

  test('takes and gives bytes as they are, however many, and sees the end of its input', async () => {
    const data = randomBytes(6_000_000)
    const back = await client.run('ssh', ['-F', client.config, ...work, 'cat; echo end >&2'], { input: data })
    expect(back.stderr).toBe('end\n')
    expect(Buffer.from(back.stdout, 'latin1').equals(data)).toBe(true)
  })

  test('waits for a client that does not read', async () => {
    const child = client.start(...work, 'yes | head -c 20000000; echo done > ~/printed')
    await once(child.stdout ?? child, 'readable')
    expect(await inBox('sleep 0.5; cat ~/printed 2>/dev/null; true')).toBe('')
    child.stdout?.resume()
    await once(child, 'exit')
    expect(await inBox('cat ~/printed')).toBe('done\n')
  })

  test('is one of many at once, on one connection', async () => {
    const control = ['-o', `ControlPath=${join(dir, 'control')}`]
    await ssh('-o', 'ControlMaster=yes', '-o', 'ControlPersist=yes', ...control, ...work, 'true')
    const numbers = Array.from({ length: 40 }, (_, index) => String(index))
    expect(await Promise.all(numbers.map((n) => ssh(...control, ...work, `sleep 0.2; echo ${n}`)))).toEqual(
      numbers.map((n) => `${n}\n`),
    )
    await client.ssh(...control, '-O', 'exit', ...work)
  })
})

describe('a terminal', () => {
  const inTerminal = async (steps: readonly object[], ...args: string[]) =>
    client.run('python3', [join(import.meta.dirname, 'support/terminal.py'), 'ssh', '-F', client.config, ...args], {
      input: steps.map((step) => JSON.stringify(step)).join('\n'),
      env: { TERM: 'screen' },
    })

  test('is a login shell that knows its size and hears of a new one', async () => {
    const result = await inTerminal(
      [
        { see: '$ ' },
        { size: [33, 111] },
        // The line is typed when the new size has long been there.
        { type: 'sleep 0.3; stty size; echo $TERM; shopt -q login_shell && echo lo""gin\n' },
        { see: 'login\r\n' },
        { type: 'exit 3\n' },
      ],
      ...work,
    )
    expect(result.stdout).toContain('33 111\r\nscreen\r\n')
    expect(result.exitCode).toBe(3)
  })

  test('passes an interrupt on', async () => {
    const steps = [{ see: 'ready' }, { type: '\u0003' }]
    const result = await inTerminal(steps, '-t', ...work, 'trap "echo caught; exit 9" INT; echo ready; sleep 60')
    expect(result.stdout).toContain('caught')
    expect(result.exitCode).toBe(9)
  })
})

describe('a client that drops', () => {
  const left = (name: string) => inBox(`pgrep -fc "^${name}" || true`)
  const dropped = async (...args: string[]): Promise<void> => {
    const child = client.start(...args)
    await once(child.stdout ?? child, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  test('takes its terminal with it', async () => {
    await dropped('-tt', ...work, 'echo on; exec -a in-terminal sleep 1000')
    await expect.poll(() => left('in-terminal')).toBe('0\n')
  })

  test('leaves what does not speak, as ssh does, and ends what does', async () => {
    await dropped(...work, 'echo on; (exec -a quiet sleep 1000) >/dev/null 2>&1; true')
    await dropped(...work, "exec -a loud bash -c 'while echo on; do sleep 0.1; done'")
    await expect.poll(() => left('loud')).toBe('0\n')
    expect(await left('quiet')).toBe('1\n')
    await inBox('pkill -f "^quiet"')
  })
})

describe('files', () => {
  test('go by scp, the new and the old, and by sftp', async () => {
    const data = randomBytes(3_000_001)
    await writeFile(join(dir, 'data'), data)
    const scp = (...args: string[]) => client.run('scp', ['-q', '-F', client.config, '-o', 'User=work', ...args])
    expect(await scp('data', 'host:new')).toMatchObject({ exitCode: 0 })
    expect(await scp('-O', 'data', 'host:old')).toMatchObject({ exitCode: 0 })
    expect(await scp('host:new', 'back')).toMatchObject({ exitCode: 0 })
    expect((await readFile(join(dir, 'back'))).equals(data)).toBe(true)
    expect(await inBox('cd ~; cmp new old; stat -c %U new')).toBe('agent\n')
    const sftp = await client.run('sftp', ['-F', client.config, '-o', 'User=work', '-b', '-', 'host'], {
      input: 'mkdir s\ncd s\nput data\nls -l\npwd\n',
    })
    expect(sftp.stdout).toContain('/home/agent/s')
    expect(sftp.stdout).toMatch(/-rw-r--r--.* agent +agent +3000001 .*data/)
    // With the rights of the user, and not with those of boxd.
    expect((await scp('data', 'host:/etc/not-mine')).stderr).toMatch(/[Pp]ermission denied/)
  })

  test('go by rsync, both ways', async () => {
    await mkdir(join(dir, 'tree/deep'), { recursive: true })
    await writeFile(join(dir, 'tree/deep/file'), 'text', { mode: 0o755 })
    const rsync = (...args: string[]) => client.run('rsync', ['-a', '-e', `ssh -F ${client.config} -l work`, ...args])
    expect(await rsync('tree/', 'host:tree/')).toMatchObject({ exitCode: 0 })
    await inBox('echo more > ~/tree/more')
    expect(await rsync('host:tree/', 'tree/')).toMatchObject({ exitCode: 0 })
    expect(await readFile(join(dir, 'tree/more'), 'utf8')).toBe('more\n')
  })

  test('go by git', async () => {
    await inBox('git init -q --bare -b main ~/repo.git')
    const git = (...args: string[]) =>
      client.run('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        env: { GIT_SSH_COMMAND: `ssh -F ${client.config}` },
      })
    expect(await git('clone', '-q', 'work@host:repo.git', 'clone')).toMatchObject({ exitCode: 0 })
    await git('-C', 'clone', 'commit', '-q', '--allow-empty', '-m', 'by ssh')
    expect(await git('-C', 'clone', 'push', '-q', 'origin', 'HEAD:main')).toMatchObject({ exitCode: 0 })
    expect(await inBox('git -C ~/repo.git log --format=%s main')).toBe('by ssh\n')
  })
})

describe('forwarding', () => {
  /** As an editor does it: a script on standard input starts a server, says where, and stays; its port is reached by SOCKS or a forward. */
  test('reaches ports of the box, by -L and -D', async () => {
    const script = `cd ~ && echo page > page && python3 -u -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 &
until curl -s -o /dev/null 127.0.0.1:8000; do sleep 0.1; done
echo ready; exec cat`
    const [socks, local] = [client.port + 1000, client.port + 1001]
    const child = client.start(
      '-T',
      '-D',
      `${socks}`,
      '-L',
      `${local}:localhost:8000`,
      '-o',
      'ExitOnForwardFailure=yes',
      ...work,
      'sh',
    )
    child.stdin?.write(`${script}\n`)
    await once(child.stdout ?? child, 'data')
    const curl = (...args: string[]) => client.run('curl', ['-sS', ...args])
    expect(await curl(`http://127.0.0.1:${local}/page`)).toMatchObject({ stdout: 'page\n' })
    const proxied = ['--socks5-hostname', `127.0.0.1:${socks}`]
    expect(await curl(...proxied, 'http://localhost:8000/page')).toMatchObject({ stdout: 'page\n' })
    expect((await curl(...proxied, 'http://localhost:8001/')).exitCode).not.toBe(0)
    child.stdin?.end()
    await once(child, 'exit')
  })

  test('lets the box reach a port here, by -R', async () => {
    const server = createServer((_, response) => response.end('from here')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const flags = ['-o', 'ExitOnForwardFailure=yes', '-R']
    expect(await ssh(...flags, `5000:127.0.0.1:${port}`, ...work, 'curl -sS 127.0.0.1:5000')).toBe('from here')
    // It goes with the connection; what only root may do, nobody else does.
    expect(await inBox('curl -s 127.0.0.1:5000 || echo closed')).toBe('closed\n')
    expect((await client.ssh(...flags, `80:127.0.0.1:${port}`, ...work, 'true')).stderr).toContain('forwarding failed')
    server.close()
  })

  test('lends the agent of the client to the box', async () => {
    const script = `eval "$(ssh-agent -s)" >/dev/null; ssh-add -q key; ssh -F config -A -l work host ssh-add -l; ssh-agent -k >/dev/null`
    const lent = await client.run('sh', ['-c', script])
    expect(lent.stdout).toMatch(/^256 SHA256:\S+ .*\(ED25519\)/)
    expect((await client.ssh(...work, 'echo "[$SSH_AUTH_SOCK]"; ls -d /tmp/gibil-*')).stdout).toBe('[]\n')
  })
})

describe('a box', () => {
  test('that sleeps wakes', async () => {
    await must('pause', 'work')
    expect(await ssh(...work, 'echo awake')).toBe('awake\n')
  })

  test('is reached by gibil ssh and by ssh-config, without an sshd and without a key of its own', async () => {
    expect((await home.gibil(['ssh', 'work', '--', 'id -un; exit 5'])).stdout).toBe('agent\n')
    expect((await home.gibil(['ssh', 'work', '--', 'exit 5'])).exitCode).toBe(5)
    await must('ssh-config')
    const config = join(home.path, 'ssh/config')
    const scp = await client.run('scp', ['-q', '-F', config, 'data', 'work.gibil:by-config'])
    expect(scp).toMatchObject({ exitCode: 0 })
    expect((await client.run('ssh', ['-F', config, '-l', 'root', 'work.gibil', 'id -u'])).stdout).toBe('0\n')
    expect(await inBox('cmp ~/by-config ~/new && ls ~/.ssh 2>/dev/null | wc -l')).toBe('0\n')
  })

  test('that is stopped, or gone, is said', async () => {
    await must('stop', 'work')
    expect((await client.ssh(...work, 'true')).stderr).toContain('gibil start work')
    await must('destroy', 'work', '--yes')
    const gone = await client.ssh(...work, 'true')
    expect(gone.exitCode).toBe(255)
    expect(gone.stderr).toMatch(/"work" was destroyed/)
  })
})

test('a home may have its gateway at another address, or none', async () => {
  await must('down')
  await home.startDaemon({ GIBIL_SSH: `127.0.0.2:${client.port}` })
  const there = async () => (await client.ssh('-o', 'HostName=127.0.0.2', '-l', 'work', 'host', 'true')).stderr
  await expect.poll(there).toContain('"work" was destroyed')
  expect((await client.ssh(...work, 'true')).stderr).toContain('Connection refused')
  await must('down')
  await home.startDaemon({ GIBIL_SSH: 'off' })
  const checks = JSON.parse((await home.gibil(['doctor', '--json'])).stdout)
  expect(JSON.stringify(checks)).toContain('switched off (daemon.ssh)')
  expect((await client.ssh(...work, 'true')).stderr).toContain('Connection refused')
})
