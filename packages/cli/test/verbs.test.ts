import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Gibil } from '@gibil/sdk'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CliResult, makeHome, root, type TestHome } from '../../../test/support/home.ts'

let home: TestHome
let dir: string

beforeAll(async () => {
  home = await makeHome()
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  await must('create', '--name', 'w')
})
afterAll(() => home?.[Symbol.asyncDispose]())
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-verbs-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const gibil = (...args: string[]): Promise<CliResult> => home.gibil(args, { cwd: dir })
async function must(...args: string[]): Promise<string> {
  const result = await home.gibil(args, { cwd: dir ?? root })
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}

/** A running CLI whose output is kept, for what happens in the middle of it. */
interface Live {
  readonly child: ChildProcess
  readonly text: () => string
  readonly errors: () => string
  readonly status: Promise<number | null>
}
function live(...args: string[]): Live {
  const env = { ...process.env, GIBIL_HOME: home.path, NO_COLOR: '1' }
  const child = spawn(join(root, 'gibil'), args, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  let errors = ''
  child.stdout.on('data', (data) => {
    text += data
  })
  child.stderr.on('data', (data) => {
    errors += data
  })
  return { child, text: () => text, errors: () => errors, status: once(child, 'close').then(([code]) => code) }
}
const soon = { timeout: 30_000, interval: 50 }

describe('cp', () => {
  test('a file, a directory and streams, both ways', async () => {
    await mkdir(join(dir, 'tree/sub'), { recursive: true })
    await writeFile(join(dir, 'tree/sub/tool'), '#!/bin/sh\necho ran\n')
    await chmod(join(dir, 'tree/sub/tool'), 0o755)
    await must('cp', 'tree', 'w:')
    expect(await must('run', 'w', 'tree/sub/tool; stat -c %U tree/sub/tool')).toBe('ran\nagent\n')
    await must('cp', 'w:tree', 'back')
    expect((await stat(join(dir, 'back/sub/tool'))).mode & 0o777).toBe(0o755)
    await must('cp', 'w:tree/sub/tool', '.')
    expect(await readFile(join(dir, 'tool'), 'utf8')).toContain('echo ran')
    await must('cp', 'tree/.', 'w:/tmp/contents')
    expect(await must('run', 'w', '--', 'ls', '/tmp/contents')).toBe('sub\n')
    const piped = await home.gibil(['cp', '-', 'w:/tmp/in/put'], { input: 'from stdin' })
    expect(piped.exitCode, piped.stderr).toBe(0)
    expect(await must('cp', 'w:/tmp/in/put', '-')).toBe('from stdin')
  })

  test('links that leave the tree stay away, and setuid is dropped', async () => {
    const make =
      'mkdir -p ~/evil && cd ~/evil && ln -sf /etc/passwd out && ln -sf ../../.. up && echo x > suid && chmod 6755 suid && mkfifo pipe'
    await must('run', 'w', make)
    const result = await gibil('cp', 'w:evil', 'evil')
    expect(result.exitCode, result.stderr).toBe(0)
    expect(await readdir(join(dir, 'evil'))).toEqual(['suid'])
    expect((await lstat(join(dir, 'evil/suid'))).mode & 0o7000).toBe(0)
    expect(result.stderr).toContain('left out: out')
  })

  test('what does not exist', async () => {
    expect((await gibil('cp', 'w:/nope', '.')).exitCode).toBe(3)
    expect((await gibil('cp', 'nope', 'w:')).exitCode).toBe(3)
    expect(await readdir(dir)).toEqual([])
  })
})

describe('commands that go on', () => {
  test('started, listed, followed, attached to from an offset, and killed', async () => {
    const id = (
      await must('run', 'w', '--detach', '--label', 'counter', 'for i in 1 2 3; do echo $i; sleep 0.2; done; exit 4')
    ).trim()
    const followed = await gibil('logs', 'w', id, '--follow')
    expect(followed.stdout).toBe('1\n2\n3\n')
    const attached = await gibil('attach', 'w', id, '--offset', '2')
    expect(attached).toMatchObject({ stdout: '2\n3\n', exitCode: 4 })
    const sleeper = (await must('run', 'w', '--detach', 'sleep 1000')).trim()
    expect(await must('jobs', 'w', '--running')).toContain('sleep 1000')
    await must('kill', 'w', sleeper, '-s', 'TERM')
    expect((await gibil('attach', 'w', sleeper)).exitCode).toBe(143)
    const jobs = JSON.parse(await must('jobs', 'w', '--json'))
    expect(jobs).toContainEqual(
      expect.objectContaining({ id, label: 'counter', exit: expect.objectContaining({ exitCode: 4 }) }),
    )
  })

  test('Ctrl-C goes to the command, whose answer is ours', async () => {
    const run = live('run', 'w', 'trap "echo caught; exit 9" INT; echo begun; while :; do sleep 0.1; done')
    await expect.poll(run.text, soon).toBe('begun\n')
    run.child.kill('SIGINT')
    expect(await run.status).toBe(9)
    expect(run.text()).toBe('begun\ncaught\n')
  })

  test('a reader that leaves ends the command', async () => {
    const label = `yes-${process.pid}`
    execFileSync('sh', ['-c', `'${join(root, 'gibil')}' run w --label ${label} -- yes | head -1`], {
      env: { ...process.env, GIBIL_HOME: home.path },
    })
    await expect
      .poll(async () => JSON.parse(await must('jobs', 'w', '--json')), soon)
      .toContainEqual(expect.objectContaining({ label, exit: expect.objectContaining({ exitCode: null }) }))
  })

  test('a command that is watched goes on over a restart of the daemon, and not a line is lost', async () => {
    const run = live('run', 'w', 'for i in $(seq 1 40); do echo line $i; sleep 0.1; done')
    await expect.poll(run.text, soon).toContain('line 3\n')
    await must('down')
    await home.startDaemon()
    expect(await run.status).toBe(0)
    expect(run.text()).toBe(Array.from({ length: 40 }, (_, index) => `line ${index + 1}\n`).join(''))
  })

  test('a timeout ends the whole group', async () => {
    const result = await gibil('run', 'w', '--timeout', '1s', 'sleep 987 & sleep 987')
    expect(result.exitCode).toBe(143)
    expect(result.stderr).toContain('timeout of 1s')
    expect((await gibil('run', 'w', '--', 'pgrep', '-f', '^sleep 987')).exitCode).toBe(1)
  })
})

describe('life', () => {
  test('pause, resume, stop and start keep what they should', async () => {
    await must('create', '--name', 'life', '--ttl', '10m')
    try {
      await must('run', 'life', 'echo kept > file')
      expect(JSON.parse(await must('pause', 'life', '--json')).status).toBe('paused')
      expect(JSON.parse(await must('resume', 'life', '--json')).status).toBe('running')
      expect(JSON.parse(await must('stop', 'life', '--json')).status).toBe('stopped')
      expect((await gibil('run', 'life', 'true')).exitCode).toBe(125)
      expect(JSON.parse(await must('start', 'life', '--json')).status).toBe('running')
      expect(await must('run', 'life', 'cat file')).toBe('kept\n')
      const { lease } = JSON.parse(await must('extend', 'life', '3h', '--json'))
      expect(Date.parse(lease.expiresAt) - Date.now()).toBeGreaterThan(2.9 * 3_600_000)
      const events = (await must('events', '--box', 'life', '--json'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).type)
      for (const type of ['box.paused', 'box.resumed', 'box.stopped', 'box.extended']) expect(events).toContain(type)
    } finally {
      await must('destroy', 'life', '--if-exists')
    }
  })

  test('Ctrl-C during a create leaves no box', async () => {
    await mkdir(join(dir, 'slow'))
    await writeFile(join(dir, 'slow/.gibil.yml'), 'tasks: [sleep 300]\n')
    const create = live('create', '--name', 'given-up', '--repo', './slow')
    await expect.poll(async () => (await gibil('show', 'given-up')).stdout, soon).toContain('tasks')
    create.child.kill('SIGINT')
    expect(await create.status).toBe(130)
    expect(create.errors()).toContain('nothing of it is left')
    expect((await gibil('show', 'given-up')).exitCode).toBe(3)
  })

  test('ports and top see what runs, and a port can be dialled', async () => {
    const serve = 'require("http").createServer((q, s) => s.end("hello")).listen(4321, "127.0.0.1")'
    const id = (await must('run', 'w', '--detach', '--', 'node', '-e', serve)).trim()
    await expect.poll(() => must('ports', 'w'), soon).toContain('4321')
    await using client = Gibil.connect({ home: home.path })
    const stream = await client.box('w').dial(4321)
    stream.end('GET / HTTP/1.0\r\n\r\n')
    let answer = ''
    for await (const chunk of stream) answer += String(chunk)
    expect(answer).toMatch(/hello$/)
    expect(await must('top')).toMatch(/^w +container +\d+ %/m)
    await must('kill', 'w', id)
  })
})

describe('push and pull', () => {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
      cwd: dir,
      encoding: 'utf8',
      stdio: 'pipe',
    })

  test('work goes up, and comes back as a patch, a branch and files', async () => {
    git('init', '--quiet', '-b', 'main')
    await writeFile(join(dir, 'a.txt'), 'one\n')
    await writeFile(join(dir, 'gone.txt'), 'x\n')
    await writeFile(join(dir, '.gitignore'), '*.log\n')
    git('add', '-A')
    git('commit', '--quiet', '-m', 'first')
    // At once, so that the index cannot tell the change by the time of the file.
    await writeFile(join(dir, 'a.txt'), 'two\n')
    await must('create', '--name', 'work', '--repo', '.')
    try {
      await must('run', 'work', 'echo box > made.txt; echo three >> a.txt; echo noise > x.log')
      const patch = await must('pull', 'work', '--patch', '-')
      expect(patch).toContain('+three')
      expect(patch).not.toContain('-one')
      expect(patch).not.toContain('noise')
      await must('pull', 'work', '--patch', 'box.patch')
      git('apply', 'box.patch')
      expect(await readFile(join(dir, 'a.txt'), 'utf8')).toBe('two\nthree\n')
      expect(await readFile(join(dir, 'made.txt'), 'utf8')).toBe('box\n')

      await rm(join(dir, 'gone.txt'))
      await rm(join(dir, 'box.patch'))
      await writeFile(join(dir, 'pushed.txt'), 'p\n')
      await must('push', 'work')
      expect(await must('run', 'work', 'cat pushed.txt; ls gone.txt 2>&1 || true')).toMatch(/^p\n.*No such file/)
      expect(await must('pull', 'work', '--patch', '-')).toBe('')

      await must('run', 'work', 'git add -A && git -c user.name=b -c user.email=b@b commit -qm "in the box"')
      await must('pull', 'work', '--branch', 'from-box')
      expect(git('log', '-1', '--format=%s', 'from-box').trim()).toBe('in the box')
      expect(git('symbolic-ref', '--short', 'HEAD').trim()).toBe('main')

      await must('pull', 'work', './copy')
      expect((await readdir(join(dir, 'copy'))).sort()).toEqual(['.gitignore', 'a.txt', 'made.txt', 'pushed.txt'])
    } finally {
      await must('destroy', 'work')
    }
  })
})

const python = (): boolean => {
  try {
    execFileSync('python3', ['-c', 'import pty'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe.runIf(python())('shell, in a terminal of its own', () => {
  /** Plays keys into a program that runs in a pseudo-terminal, each after what it waits for has appeared. */
  const drive = `
import fcntl, json, os, pty, select, struct, sys, termios, time
steps, argv = json.loads(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 101, 0, 0))
seen, at = '', 0
def read():
    global seen
    if not select.select([fd], [], [], 0.1)[0]: return True
    try: data = os.read(fd, 65536)
    except OSError: return False
    seen += data.decode('utf8', 'replace')
    return bool(data)
deadline = time.time() + 60
for wanted, keys in steps:
    while wanted not in seen[at:] and time.time() < deadline and read(): pass
    at = seen.find(wanted, at) + len(wanted) if wanted in seen[at:] else at
    os.write(fd, keys.encode())
while time.time() < deadline and read(): pass
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen]))
`
  const play = (steps: readonly (readonly [string, string])[], ...args: string[]): [number, string] =>
    JSON.parse(
      execFileSync('python3', ['-c', drive, JSON.stringify(steps), join(root, 'gibil'), ...args], {
        env: { ...process.env, GIBIL_HOME: home.path, TERM: 'xterm' },
        encoding: 'utf8',
      }),
    )

  test('has the size of ours, and its status becomes ours', () => {
    const [status, seen] = play(
      [
        ['$ ', 'stty size\r'],
        ['33 101', 'exit 5\r'],
      ],
      'shell',
      'w',
    )
    expect(seen).toContain('33 101')
    expect(status).toBe(5)
  })

  test('is left by Ctrl-] and found again by attach', () => {
    const [left, first] = play(
      [
        ['$ ', 'echo mark-$((40 + 2))\r'],
        ['mark-42', '\u001d'],
      ],
      'shell',
      'w',
    )
    expect(left).toBe(0)
    const id = /gibil attach w (\w+)/.exec(first)?.[1] ?? ''
    const [status, again] = play([['mark-42', 'exit 3\r']], 'attach', 'w', id)
    expect(again).toContain('mark-42')
    expect(status).toBe(3)
  })
})
