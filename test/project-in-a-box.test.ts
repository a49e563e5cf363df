import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeHome, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'
import { makeProject, type Project } from './support/project.ts'
import { makePublicInternet, type PublicInternet, printed } from './support/public-internet.ts'

const gibilYml = `
image: base
ttl: 45m
env:
  GREETING: hello
services:
  web:
    command: node -e "require('http').createServer((q, s) => s.end('up')).listen(4000)"
    ready: { http: 'http://127.0.0.1:4000/' }
tasks:
  - name: note
    run: echo "$GREETING" > note.txt
  - curl -fsS http://127.0.0.1:4000/ > web.txt
ports: [4000]
`

let home: TestHome
let project: Project

beforeAll(async () => {
  home = await makeHome()
  project = await makeProject(gibilYml)
  const started = await home.startDaemon()
  expect(started.stderr + started.stdout, 'the daemon starts').not.toContain('error:')
  expect(started.exitCode).toBe(0)
})
afterAll(async () => {
  await project?.[Symbol.asyncDispose]()
  await home?.[Symbol.asyncDispose]()
})

const parsed = (text: string): Record<string, never> => JSON.parse(text)

describe('a project in a box, by the CLI', () => {
  it('forges it with its services and tasks, tests it and destroys it without a trace', async () => {
    const created = await home.gibil(['create', '--name', 'w', '--repo', project.path, '--ttl', '90m', '--json'])
    expect(created.stderr).not.toContain('error:')
    expect(created.exitCode).toBe(0)
    const box = parsed(created.stdout)
    expect(box).toMatchObject({
      name: 'w',
      status: 'running',
      readiness: 'ready',
      lease: { ttlSeconds: 5400 },
      ports: [4000],
    })

    const tested = await home.gibil(['run', 'w', '--', 'npm', 'test'])
    expect(tested.stdout).toMatch(/# pass 1|ℹ pass 1/)
    expect(tested.exitCode).toBe(0)
    const made = await home.gibil(['run', 'w', '--', 'cat', 'note.txt', 'web.txt'])
    expect(made.stdout).toBe('hello\nup')

    const destroyed = await home.gibil(['destroy', 'w'])
    expect(destroyed.exitCode).toBe(0)
    expect(await tracesOf(String(box['id']))).toEqual([])
    expect(await stat(join(home.path, 'boxes', String(box['id']))).catch(() => undefined)).toBeUndefined()
  })

  it('carries uncommitted work up with --repo . and brings a patch back', async () => {
    await using dirty = await makeProject('tasks: []\n', { 'kept.txt': 'as committed\n' })
    await execa(
      'sh',
      ['-c', 'echo changed > kept.txt; echo new > added.txt; echo secret > ignored.log; echo "*.log" > .gitignore'],
      { cwd: dirty.path },
    )
    const created = await home.gibil(['create', '--name', 'dirty', '--repo', '.'], { cwd: dirty.path })
    expect(created.exitCode, created.stderr).toBe(0)
    try {
      const files = await home.gibil(['run', 'dirty', 'cat kept.txt added.txt; ls ignored.log'])
      expect(files.stdout).toBe('changed\nnew\n')
      expect(files.exitCode).not.toBe(0)
      await home.gibil(['run', 'dirty', 'echo "from the box" >> kept.txt'])
      const patch = await home.gibil(['pull', 'dirty', '--patch', '-'], { cwd: dirty.path })
      expect(patch.stdout).toContain('+from the box')
    } finally {
      await home.gibil(['destroy', 'dirty'])
    }
  })

  it('makes the box as the .gibil.yml of the tree says: over the defaults of the config, under the flags', async () => {
    await using wishful = await makeProject('size: medium\ncpu: 1\nttl: 3h\n')
    await writeFile(join(home.path, 'config.yml'), 'defaults:\n  size: large\n  ttl: 5h\n  idle: 2h\n')
    try {
      const created = await home.gibil(['create', '--name', 'wish', '--repo', wishful.path, '--disk', '1G', '--json'])
      expect(created.exitCode, created.stderr).toBe(0)
      expect(parsed(created.stdout)).toMatchObject({
        size: { cpu: 1, memoryMib: 8192, diskMib: 1024 },
        lease: { ttlSeconds: 3 * 3600, idleSeconds: 2 * 3600 },
        readiness: 'ready',
      })
    } finally {
      await rm(join(home.path, 'config.yml'))
      await home.gibil(['destroy', 'wish'])
    }
  })

  it('runs a set-up script once for all boxes, and the session-start hooks of the repository at each start', async () => {
    const command = (line: string): object => ({ type: 'command', command: line })
    const hooks = [
      { matcher: 'startup|resume', hooks: [command('sh "$CLAUDE_PROJECT_DIR"/hook.sh')] },
      { hooks: [command('echo "no luck" >&2; exit 3')] },
    ]
    await using prepared = await makeProject('setup: |\n  id -un > /etc/by\n  date +%s%N > /etc/at\n', {
      '.claude/settings.json': JSON.stringify({ hooks: { SessionStart: hooks } }),
      'hook.sh': `cat > input.json
echo "export FROM_HOOK='two words' TOLD=$CLAUDE_CODE_REMOTE" >> "$CLAUDE_ENV_FILE"
echo '{"systemMessage":"tools are there"}'`,
    })
    const create = (name: string) => home.gibil(['create', '--name', name, '--repo', prepared.path])
    const run = async (name: string, line: string): Promise<string> => (await home.gibil(['run', name, line])).stdout
    const first = await create('a')
    expect(first.exitCode, first.stderr).toBe(0)
    expect(first.stderr).toMatch(/✓ setup [\s\S]*session-start hook[^\n]*: tools are there/)
    expect(first.stderr).toMatch(/session-start hook "echo "no luck"[^\n]* ended with 3/)
    expect(
      await run(
        'a',
        'cat /etc/by; echo $FROM_HOOK $TOLD $(printenv CLAUDE_CODE_REMOTE || echo nothing); jq -r .source input.json',
      ),
    ).toBe('root\ntwo words true nothing\nstartup\n')
    expect((await home.gibil(['logs', 'a'])).stdout).toContain('no luck')

    const second = await create('b')
    expect(second.stderr).toContain('as an earlier box has left it')
    expect(await run('b', 'cat /etc/at')).toBe(await run('a', 'cat /etc/at'))
    expect(await run('b', 'jq -r .source input.json')).toBe('startup\n')
    const kept = await home.gibil(['snapshots', '--json'])
    expect(JSON.parse(kept.stdout)).toMatchObject([{ setup: true, kind: 'disk', boxName: 'a' }])

    await home.gibil(['restart', 'a'])
    expect(
      (await home.gibil(['create', '--name', 'c', '--setup', '/etc/hostname', '--repo', prepared.path])).stderr,
    ).toMatch(/The set-up script ended with 127/)
    expect(JSON.parse((await home.gibil(['snapshots', '--json'])).stdout)).toHaveLength(1)
    expect((await home.gibil(['ls', '--json'])).stdout).not.toContain('"c"')
    await expect
      .poll(() => run('a', 'jq -r .source input.json; echo $FROM_HOOK'), { timeout: 30_000 })
      .toBe('resume\ntwo words\n')
    await home.gibil(['destroy', 'a', 'b'])
    await home.gibil(['snapshots', 'rm', '--all', '--yes'])
  })

  it('refuses a .gibil.yml that is wrong with its line, before anything is made', async () => {
    await using wrong = await makeProject('tasks:\n  - npm ci\nsize: enormous\n')
    const created = await home.gibil(['create', '--name', 'wrong', '--repo', wrong.path])
    expect(created.stderr).toMatch(/\.gibil\.yml:3:7/)
    expect(created.exitCode).toBe(2)
    expect((await home.gibil(['show', 'wrong'])).exitCode).toBe(3)
  })

  it('passes the status, the streams and stdin of a command through', async () => {
    await home.gibil(['create', '--name', 'pipe'])
    try {
      const result = await home.gibil(['run', 'pipe', 'cat; echo problem >&2; exit 7'], { input: 'through' })
      expect(result).toEqual({ exitCode: 7, stdout: 'through', stderr: 'problem\n' })
      expect((await home.gibil(['run', 'pipe', 'kill -TERM $$'])).exitCode).toBe(128 + 15)
      expect((await home.gibil(['run', 'nobody', 'true'])).exitCode).toBe(125)
    } finally {
      await home.gibil(['destroy', 'pipe'])
    }
  })
})

describe('a repository behind a token, on the public internet', () => {
  const token = 'ghp_verysecrettoken0123456789'
  let internet: PublicInternet
  let served: Project

  beforeAll(async () => {
    internet = await makePublicInternet()
    served = await makeProject('tasks: [test -f package.json]\n')
    const bare = `${served.path}.served`
    await execa('git', ['clone', '--quiet', '--bare', served.path, join(bare, 'private', 'project.git')])
    const server = internet.start([
      process.execPath,
      join(import.meta.dirname, 'support/git-http-server.ts'),
      bare,
      '80',
      token,
    ])
    await printed(server, 'ready')
  })
  afterAll(async () => {
    await internet?.[Symbol.asyncDispose]()
    if (served) await execa('rm', ['-rf', `${served.path}.served`])
    await served?.[Symbol.asyncDispose]()
  })

  it('is cloned with the token, which is found nowhere afterwards', async () => {
    const url = `http://${internet.address}/private/project.git`
    const created = await home.gibil(['create', '--name', 'private', '--repo', url, '--repo-token', token, '--json'])
    expect(created.exitCode, created.stderr).toBe(0)
    try {
      const search =
        'grep -rIl --exclude-dir=proc --exclude-dir=sys -e "$NEEDLE" / 2>/dev/null; tr "\\0" "\\n" < /proc/1/environ; git config --list --show-origin'
      const found = await home.gibil([
        'run',
        'private',
        '--user',
        'root',
        '--env',
        `NEEDLE=${token.slice(0, 12)}`,
        search,
      ])
      expect(found.stdout).not.toContain(token)
      const encoded = Buffer.from(`x-access-token:${token}`).toString('base64').slice(0, 30)
      expect(found.stdout).not.toContain(encoded)
      expect(found.stdout.split('\n').filter((line) => line.startsWith('/'))).toEqual([])
      expect(await filesHolding(home.path, token)).toEqual([])
    } finally {
      await home.gibil(['destroy', 'private'])
    }
  })

  it('is refused without the token, and nothing is left', async () => {
    const url = `http://${internet.address}/private/project.git`
    const created = await home.gibil(['create', '--name', 'refused', '--repo', url, '--json'])
    expect(parsed(created.stdout)).toMatchObject({ error: { code: 'repo_not_found' } })
    expect(created.exitCode).toBe(3)
    expect(parsed((await home.gibil(['show', 'refused', '--json'])).stdout)).toMatchObject({
      error: { code: 'box_not_found' },
    })
  })
})

/** Files of the home, the disks and layers aside, that hold a text. */
async function filesHolding(dir: string, needle: string): Promise<string[]> {
  const skipped = ['images', 'boxes', 'cache'].map((name) => `--exclude-dir=${name}`)
  const found = await execa('grep', ['-rlF', '--text', '--devices=skip', ...skipped, '-e', needle, dir], {
    reject: false,
  })
  return found.stdout.split('\n').filter(Boolean)
}
