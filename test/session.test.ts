import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeHome, type TestHome } from './support/home.ts'
import { makeProject, type Project } from './support/project.ts'

/** Stands in for an agent: does what its task says, as agents do. */
const agent = `#!/bin/bash
case "$1" in
commit)
  echo "I commit, with a key of \${#SECRET_KEY} characters"
  echo done >result.txt; git add result.txt
  git -c user.name=Agent -c user.email=agent@example.invalid commit -qm "Write the result"
  echo more >>kept.txt; echo left >left.txt ;;
ask)
  printf '\\033[1mOverwrite?\\033[0m [y/N] '; read -r answer; echo "answer: $answer" | tee answer.txt ;;
tick)
  for n in $(seq 1 40); do echo "tick $n"; sleep 0.2; done ;;
die)
  echo 'about to fall'; exit 7 ;;
hang)
  trap '' TERM; echo 'no end'; while :; do sleep 1; done ;;
flood)
  yes 'flood of output' | head -c 40000000; echo; echo 'end of flood' ;;
esac
`
const secret = 'sk-test-5d1f0a9c77'

let home: TestHome
let project: Project

beforeAll(async () => {
  home = await makeHome()
  project = await makeProject('image: base\n', { 'agent.sh': agent, 'kept.txt': 'as committed\n' })
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
})
afterAll(async () => {
  await project?.[Symbol.asyncDispose]()
  await home?.[Symbol.asyncDispose]()
})

interface Shown {
  readonly id: string
  readonly box: { readonly id: string; readonly name: string }
  readonly task: string
  readonly state: string
  readonly outcome: string | null
  readonly exit: { readonly exitCode: number | null } | null
  readonly outputBytes: number
  readonly quietSeconds: number | null
  readonly lastLines: string
  readonly result: { readonly commits: number } | null
  readonly failure: { readonly code: string } | null
}

const session = (...args: string[]) => home.gibil(['session', ...args], { cwd: project.path })
const show = async (id: string): Promise<Shown> => JSON.parse((await session('show', id, '--json')).stdout)
const daemonPid = async (): Promise<number> => JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8')).pid

async function startAll(tasks: readonly string[], ...flags: string[]): Promise<Record<string, Shown>> {
  const file = join(project.path, 'tasks.txt')
  await writeFile(file, `${tasks.join('\n')}\n`)
  const args = [
    'session',
    'start',
    '--from',
    file,
    '--repo',
    '.',
    '--agent',
    'bash agent.sh',
    '--disk',
    '256M',
    '--json',
    ...flags,
  ]
  const ran = await home.gibil(args, { cwd: project.path, env: { SECRET_KEY: secret } })
  const found: Shown[] = JSON.parse(ran.stdout).map((one: { session: Shown }) => one.session)
  return Object.fromEntries(found.map((one) => [one.task, one]))
}

describe('three sessions side by side', () => {
  let ids: Record<'commit' | 'ask' | 'tick', string>
  let running: Shown[]

  beforeAll(async () => {
    const all = await startAll(['commit', 'ask', 'tick'], '--detach', '--env', 'SECRET_KEY')
    ids = { commit: all['commit']?.id ?? '', ask: all['ask']?.id ?? '', tick: all['tick']?.id ?? '' }
    running = JSON.parse((await session('list', '--json')).stdout)
  }, 120_000)

  it('run at once, each in a box of its own', () => {
    expect(new Set(running.map(({ box }) => box.id)).size).toBe(3)
    expect(running.filter(({ state }) => state === 'running').map(({ task }) => task)).toEqual(
      expect.arrayContaining(['ask', 'tick']),
    )
  })

  it('lose nothing, and no time, when the daemon is killed', async () => {
    process.kill(await daemonPid(), 'SIGKILL')
    // As long as some lines of the agent take.
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect((await home.startDaemon()).exitCode).toBe(0)
    const followed = await session('logs', ids.tick, '--follow')
    const ticks = Array.from({ length: 40 }, (_, n) => `tick ${n + 1}`)
    expect(followed.stdout.split(/\r?\n/).filter(Boolean)).toEqual(ticks)

    const file = join(project.path, 'tick.cast')
    expect((await session('logs', ids.tick, '--cast', file)).exitCode).toBe(0)
    const [header, ...moments] = (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(header).toMatchObject({ version: 2, width: 120, height: 32 })
    expect(JSON.stringify(header)).not.toContain('SECRET')
    // Lines have the times at which they were printed, not that at which somebody came to read them: those of the time without a daemon would share one.
    const times = new Set(moments.map(([at]) => at))
    expect(times.size).toBeGreaterThan(35)
    const played = await execa('script', ['-qec', `asciinema cat ${file}`, '/dev/null'], { input: '' })
    expect(played.stdout.split(/\r?\n/).filter((line) => /^tick/.test(line))).toEqual(ticks)
  })

  it('show one that waits for an answer as quiet, with its question, and let it be answered', async () => {
    await expect
      .poll(async () => await show(ids.ask), { timeout: 20_000 })
      .toMatchObject({ state: 'running', lastLines: 'Overwrite? [y/N]', quietSeconds: expect.any(Number) })
    const answered = await home.gibil(['session', 'attach', ids.ask, '--stdin'], { input: 'yes\n' })
    expect(answered.exitCode, answered.stderr).toBe(0)
    expect(answered.stdout).toContain('answer: yes')
  })

  it('bring their work back as a branch, uncommitted work on top, and as a patch', async () => {
    await expect.poll(async () => (await show(ids.commit)).state, { timeout: 20_000 }).toBe('ended')
    const brought = await session('result', ids.commit, '--branch', 'from-agent')
    expect(brought.exitCode, brought.stderr).toBe(0)
    expect(await project.git('log', '--format=%s', 'from-agent')).toBe(
      'What was left uncommitted\nWrite the result\nBegin',
    )
    expect(await project.git('show', 'from-agent:left.txt', 'from-agent:kept.txt')).toBe('left\nas committed\nmore')

    await expect.poll(async () => (await show(ids.ask)).state, { timeout: 20_000 }).toBe('ended')
    const patch = join(project.path, 'ask.patch')
    expect((await session('result', ids.ask, '--patch', patch)).exitCode).toBe(0)
    await project.git('apply', patch)
    expect(await readFile(join(project.path, 'answer.txt'), 'utf8')).toBe('answer: yes\n')
    expect(await show(ids.tick)).toMatchObject({ outcome: 'done', result: null })
  })

  it('keep no credentials: not in the home of the daemon, and not in a box', async () => {
    expect((await session('logs', ids.commit)).stdout).toContain(`a key of ${secret.length} characters`)
    const { stdout, exitCode } = await execa('grep', ['-rlaF', '--exclude-dir=images', secret, home.path], {
      reject: false,
    })
    expect(stdout).toBe('')
    expect(exitCode).toBe(1)
    // Boxes are paused at the end, and come back for whoever wants a look.
    const { box } = await show(ids.commit)
    expect(JSON.parse((await home.gibil(['show', box.name, '--json'])).stdout).status).toBe('paused')
    const places = ['/home', '/tmp', '/var', '/etc', '/root']
    const search = ['run', box.name, '--user', 'root', '--', 'grep', '-rlF', '-f', '-', ...places]
    const inBox = await home.gibil(search, { input: secret })
    expect(inBox.stdout).toBe('')
    expect((await home.gibil(['jobs', box.name, '--json'])).stdout).not.toContain(secret)
  })
})

describe('an agent with bad luck', () => {
  it('that dies says how, one that hangs is ended, a flood is bounded; their boxes go, and what they printed stays', async () => {
    const all = await startAll(['die', 'hang', 'flood'], '--timeout', '4s', '--on-end', 'destroy')
    expect(all['die']).toMatchObject({ outcome: 'failed', exit: { exitCode: 7 }, lastLines: 'about to fall' })
    expect(all['hang']).toMatchObject({ outcome: 'timed-out', lastLines: 'no end' })
    const { flood } = all
    expect(flood).toMatchObject({ outcome: 'done', lastLines: expect.stringMatching(/end of flood$/) })
    expect(flood?.outputBytes).toBeGreaterThan(40_000_000)
    const kept = await execa('du', ['-sb', join(home.path, 'sessions', flood?.id ?? '')])
    expect(Number.parseInt(kept.stdout, 10)).toBeLessThan(17 * 1024 * 1024)
    expect((await session('logs', flood?.id ?? '', '--cast', '-')).stdout).toContain('bytes are not kept')

    const boxes = JSON.parse((await home.gibil(['list', '--json'])).stdout).map(({ id }: { id: string }) => id)
    for (const one of Object.values(all)) expect(boxes).not.toContain(one.box.id)
    expect((await session('logs', all['die']?.id ?? '')).stdout).toContain('about to fall')
  })

  it('that is stopped, or loses its box, is told as that', async () => {
    const all = await startAll(['hang', 'tick'], '--detach')
    const stopped = JSON.parse((await session('stop', all['tick']?.id ?? '', '--json')).stdout)
    expect(stopped).toMatchObject({ state: 'ended', outcome: 'stopped' })
    await home.gibil(['destroy', all['hang']?.box.name ?? ''])
    await expect
      .poll(() => show(all['hang']?.id ?? ''), { timeout: 20_000 })
      .toMatchObject({ state: 'ended', outcome: 'lost', lastLines: 'no end', failure: { code: 'interrupted' } })
    expect((await session('show', 'nobody')).stderr).toContain('no session "nobody"')
    expect((await session('remove', all['hang']?.id ?? '')).exitCode).toBe(0)
    expect((await session('show', all['hang']?.id ?? '')).exitCode).toBe(3)
  })
})

describe('a known agent', () => {
  it('is run by its name with its task, and gets its own variables only', async () => {
    expect((await home.gibil(['create', '--name', 'known'])).exitCode).toBe(0)
    const program = '#!/bin/sh\necho "$@"\necho "keys: $CODEX_API_KEY $GEMINI_API_KEY."\n'
    await home.gibil(['run', 'known', 'mkdir -p .local/bin; cat >.local/bin/codex; chmod +x .local/bin/codex'], {
      input: program,
    })
    const args = ['session', 'start', '--box', 'known', '--agent', 'codex', '--on-end', 'destroy', 'say "hi" $HOME']
    const ran = await home.gibil(args, { env: { CODEX_API_KEY: 'c', GEMINI_API_KEY: 'g' } })
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(ran.stdout.split(/\r?\n/)).toEqual([
      'exec --dangerously-bypass-approvals-and-sandbox say "hi" $HOME',
      'keys: c .',
      '',
    ])
    expect((await home.gibil(['show', 'known'])).exitCode).toBe(3)
  })
})
