import { execFileSync, spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type AgentProvider, claudeCode, type IsolatedSandboxHandle, type RunOptions, run } from '@ai-hero/sandcastle'
import { Gibil } from '@gibil/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeHome, type TestHome } from '../../../test/support/home.ts'
import { gibil } from '../src/index.ts'

let home: TestHome
let dir: string
let client: Gibil

beforeAll(async () => {
  home = await makeHome()
  dir = await mkdtemp(join(tmpdir(), 'gibil-sandcastle-'))
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  client = Gibil.connect({ home: home.path })
})
afterAll(async () => {
  client?.close()
  await home?.[Symbol.asyncDispose]()
  if (dir) await rm(dir, { recursive: true, force: true })
})

const provider = (options: Parameters<typeof gibil>[0] = {}) => gibil({ connect: { home: home.path }, ...options })
const boxes = async (): Promise<string[]> => (await client.list()).map(({ name }) => name)

let repos = 0
/** A repository with one commit, and what git is to say of it. */
async function repository(): Promise<{ cwd: string; git(...args: string[]): string }> {
  repos += 1
  const cwd = join(dir, `repo-${repos}`)
  await mkdir(cwd)
  const git = (...args: string[]): string => execFileSync('git', args, { cwd, encoding: 'utf8' }).trim()
  git('init', '-q', '-b', 'main')
  git('config', 'user.name', 'Somebody')
  git('config', 'user.email', 'somebody@example.org')
  await writeFile(join(cwd, '.gitignore'), '.sandcastle\n')
  git('add', '.')
  git('commit', '-q', '-m', 'first')
  return { cwd, git }
}

const agent = (command: string, env: Record<string, string> = {}): AgentProvider => ({
  name: 'fake',
  env,
  captureSessions: false,
  buildPrintCommand: ({ prompt }) => ({ command, stdin: prompt }),
  parseStreamLine: (line) => [{ type: 'text', text: `${line}\n` }],
})
const runIn = (cwd: string, options: Partial<RunOptions> & Pick<RunOptions, 'agent'>) =>
  run({
    sandbox: provider(),
    cwd,
    prompt: 'go',
    maxIterations: 1,
    logging: { type: 'file', path: join(cwd, '.sandcastle/run.log') },
    ...options,
  })

describe('run() of Sandcastle', () => {
  test('brings the commits of an agent back, binary files too, and leaves no box', async () => {
    const { cwd, git } = await repository()
    const command = `cat >/dev/null; echo "$FROM_AGENT $FROM_PROVIDER" > f; head -c 5000 /dev/urandom > bytes
git add . && git commit -qm 'agent: f' && sha256sum bytes; echo '<promise>COMPLETE</promise>'`
    const result = await runIn(cwd, {
      agent: agent(command, { FROM_AGENT: 'a' }),
      sandbox: provider({ env: { FROM_PROVIDER: 'p' } }),
    })
    expect(result.commits).toHaveLength(1)
    expect(git('log', '--format=%s', 'main')).toBe('agent: f\nfirst')
    expect(await readFile(join(cwd, 'f'), 'utf8')).toBe('a p\n')
    const sum = hash('sha256', await readFile(join(cwd, 'bytes')))
    expect(result.stdout).toContain(sum)
    expect(await boxes()).toEqual([])
  })

  test('drives claudeCode() unmodified, with a prompt longer than an argument may be, on a branch', async () => {
    const { cwd, git } = await repository()
    const claude = `#!/bin/sh
say() { printf '%s\\n' "$1"; }
say '{"type":"system","subtype":"init","session_id":"s-1"}'
bytes=$(wc -c)
echo "$bytes" > asked && echo "$*" > called && git add . && git commit -qm 'claude: asked'
say '{"type":"assistant","message":{"content":[{"type":"text","text":"hello"}]}}'
say '{"type":"result","result":"<promise>COMPLETE</promise>"}'
`
    const install = `echo ${Buffer.from(claude).toString('base64')} | base64 -d > /usr/local/bin/claude`
    const prompt = 'x'.repeat(200_000)
    const result = await runIn(cwd, {
      agent: claudeCode('some-model', { captureSessions: false }),
      prompt,
      branchStrategy: { type: 'branch', branch: 'work' },
      hooks: {
        sandbox: {
          // One line, since those of a list are run side by side.
          onSandboxReady: [{ command: `${install} && chmod 755 /usr/local/bin/claude`, sudo: true }],
        },
      },
    })
    expect(result.completionSignal).toBe('<promise>COMPLETE</promise>')
    expect(git('log', '--format=%s', 'work')).toBe('claude: asked\nfirst')
    expect(Number(git('show', 'work:asked'))).toBeGreaterThanOrEqual(200_000)
    expect(git('show', 'work:called')).toContain('--output-format stream-json')
    expect(await boxes()).toEqual([])
  })

  test('that is aborted ends its agent and its box', async () => {
    const { cwd } = await repository()
    const abort = new AbortController()
    const running = runIn(cwd, { agent: agent('echo begun; exec sleep 1000'), signal: abort.signal })
    running.catch(() => undefined)
    await expect.poll(() => readFile(join(cwd, '.sandcastle/run.log'), 'utf8').catch(() => '')).toContain('begun')
    abort.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    await expect.poll(boxes).toEqual([])
  })

  test('whose agent crashes says so, and leaves no box', async () => {
    const { cwd } = await repository()
    await expect(runIn(cwd, { agent: agent('echo broken >&2; exit 3') })).rejects.toThrow(/3|broken/)
    expect(await boxes()).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('whose process gets %s leaves no box', async (signal) => {
    const { cwd } = await repository()
    const program = join(import.meta.dirname, 'interrupted.ts')
    const child = spawn(process.execPath, [program, home.path, cwd], { stdio: ['ignore', 'pipe', 'inherit'] })
    let printed = ''
    child.stdout.on('data', (data) => {
      printed += data
    })
    await expect.poll(() => printed).toContain('begun')
    expect(await boxes()).toHaveLength(1)
    child.kill(signal)
    await once(child, 'exit')
    await expect.poll(boxes).toEqual([])
  })
})

/** What Sandcastle calls, which its types keep for itself. */
type Internals = { create(options: { env: Record<string, string> }): Promise<IsolatedSandboxHandle> }
const open = (options: Parameters<typeof gibil>[0] = {}, env: Record<string, string> = {}) =>
  (provider(options) as unknown as Internals).create({ env })

describe('a sandbox', () => {
  let sandbox: IsolatedSandboxHandle
  beforeAll(async () => {
    sandbox = await open({}, { GIVEN: 'yes' })
  })
  afterAll(() => sandbox?.close())

  test('gives lines while the command runs, its streams apart, its exit, its place and its user', async () => {
    const lines: string[] = []
    const goOn = sandbox.exec('until [ -e go ]; do sleep 0.05; done; echo two; echo err >&2; exit 4', {
      onLine: (line) => lines.push(line),
    })
    const first = sandbox.exec('echo one; until [ -e go ]; do sleep 0.05; done', { onLine: (line) => lines.push(line) })
    await expect.poll(() => lines).toEqual(['one'])
    await sandbox.exec('touch go')
    expect(await goOn).toEqual({ stdout: 'two\n', stderr: 'err\n', exitCode: 4 })
    await first
    expect((await sandbox.exec('pwd; id -un; echo $GIVEN')).stdout).toBe(`${sandbox.worktreePath}\nagent\nyes\n`)
    expect((await sandbox.exec('id -un; echo $GIVEN; pwd', { sudo: true, cwd: '/tmp' })).stdout).toBe(
      'root\nyes\n/tmp\n',
    )
    expect((await sandbox.exec('cat', { stdin: 'é'.repeat(100_000) })).stdout).toBe('é'.repeat(100_000))
    expect((await sandbox.exec('true', { stdin: 'x'.repeat(1_000_000) })).exitCode).toBe(0)
    const flood = await sandbox.exec('yes | head -c 3000000; echo end', { onLine: () => undefined })
    expect([flood.stdout.length, flood.stdout.slice(-6)]).toEqual([64 * 1024, 'y\nend\n'])
  })

  test('takes files and directories, with links and modes, and gives files', async () => {
    const tree = join(dir, 'tree')
    await mkdir(join(tree, 'deep'), { recursive: true })
    await writeFile(join(tree, 'deep/run'), 'x')
    await chmod(join(tree, 'deep/run'), 0o755)
    await symlink('deep/run', join(tree, 'link'))
    const inside = `${sandbox.worktreePath}/in`
    await sandbox.copyIn(tree, inside)
    await sandbox.copyIn(join(tree, 'deep/run'), `${inside}/more/one`)
    expect((await sandbox.exec('stat -c %a in/deep/run in/more/one; readlink in/link')).stdout).toBe(
      '755\n755\ndeep/run\n',
    )
    await sandbox.copyFileOut(`${inside}/deep/run`, join(dir, 'out/of/it'))
    expect(await readFile(join(dir, 'out/of/it'), 'utf8')).toBe('x')
    await expect(sandbox.copyFileOut('/nothing', join(dir, 'nothing'))).rejects.toThrow('/nothing')
    await expect(stat(join(dir, 'nothing'))).rejects.toThrow()
    expect(await readlink(join(tree, 'link'))).toBe('deep/run')
  })

  test('runs a program with streams of the caller', async () => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
    const ended = sandbox.interactiveExec?.(['sh', '-c', 'read x; echo "got $x"; exit 6'], { stdin, stdout, stderr })
    stdin.write('word\n')
    expect(await ended).toEqual({ exitCode: 6 })
    stdout.end()
    expect(await text(stdout)).toBe('got word\n')
  })

  test('is over with what runs in it when it is closed', async () => {
    const other = await open()
    const running = other.exec('sleep 1000')
    running.catch(() => undefined)
    await other.close()
    await expect(running).rejects.toThrow()
    expect(await boxes()).toHaveLength(1)
  })

  test('that cannot be made in time is given up and leaves nothing', async () => {
    await expect(open({ createTimeoutMs: 1 })).rejects.toThrow(/cancelled/)
    await expect.poll(boxes).toHaveLength(1)
  })

  test('begins as a snapshot, and is kept where that is asked for', async () => {
    const [name = ''] = await boxes()
    await sandbox.exec('touch ~/from-before')
    await client.snapshots.create(name, { name: 'ready' })
    const second = await open({ from: 'ready', keep: true })
    const running = second.exec('ls ~/from-before; exec sleep 1000', { onLine: () => undefined })
    running.catch(() => undefined)
    await second.close()
    const kept = (await boxes()).find((other) => other !== name) ?? ''
    const jobs = await client.box(kept).jobs.list()
    expect(jobs.filter(({ exit }) => exit === null)).toEqual([])
    await client.box(kept).destroy()
    await client.snapshots.remove('ready')
  })
})
