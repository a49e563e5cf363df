import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Box, CreateBox, type CreateFleet, type ErrorBody, Fleet, Fork, RunResult, Snapshot } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { createFakeBoxd } from '../../daemon/test/support/fake-boxd.ts'
import { createFakePlane, type FakePlane } from '../../daemon/test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../daemon/test/support/test-daemon.ts'
import { type CliOptions, type CliRun, cli } from '../test/support/run-cli.ts'
import { verbs } from './registry.ts'
import { statusOf } from './streaming.ts'

let plane: FakePlane
let daemon: TestDaemon
let asked: (CreateBox | CreateFleet)[]

beforeEach(async () => {
  asked = []
  const fake = createFakePlane({})
  plane = {
    ...fake,
    create: (input, options) => {
      asked.push(input)
      return fake.create(input, options)
    },
    createFleet: (input, options) => {
      asked.push(input)
      return fake.createFleet(input, options)
    },
  }
  const boxd = createFakeBoxd()
  daemon = await startTestDaemon(plane, { boxd: () => boxd.api })
})
afterEach(() => daemon[Symbol.asyncDispose]())

const gibil = (argv: readonly string[], options: CliOptions = {}): Promise<CliRun> =>
  cli(argv, { home: daemon.home, ...options })
const codeOf = (run: CliRun): string => (JSON.parse(run.stdout) as ErrorBody).error.code

describe('without a daemon', () => {
  test('the help names every verb', async () => {
    const { stdout, status } = await cli(['--help'])
    expect(status).toBe(0)
    for (const verb of verbs.filter(({ hidden }) => !hidden))
      expect(stdout).toMatch(new RegExp(`^  ${verb.name} +\\S`, 'm'))
  })

  test.each(verbs.filter(({ hidden }) => !hidden).map(({ name }) => name))('%s has help of its own', async (name) => {
    const { stdout, status } = await cli([name, '--help'])
    expect(status).toBe(0)
    expect(stdout).toContain(`Usage: gibil ${name}`)
    if (!['image', 'volume', 'token', 'e2b', 'session'].includes(name)) expect(stdout).toContain('--json')
  })

  test('the version', async () => {
    expect(await cli(['--version'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^gibil \d+\.\d+\.\d+\n$/),
    })
  })

  test('a verb that does not exist suggests the one that was meant', async () => {
    const { status, stderr } = await cli(['destry', 'w'])
    expect(status).toBe(2)
    expect(stderr).toBe("error: Unknown command 'destry' (Did you mean destroy?)\n  next: See `gibil --help`.\n")
  })

  test.each([
    [['create', '--ttl', '0'], 'invalid_duration'],
    [['create', '--ttl', '-5m'], 'invalid_duration'],
    [['create', '--idle', '13x'], 'invalid_duration'],
    [['create', '--memory', 'lots'], 'invalid_size'],
    [['create', '--size', 'huge'], 'invalid_size'],
    [['create', '--cpu', '-1'], 'invalid_size'],
    [['create', '--fleet', '0'], 'invalid_request'],
    [['create', '--env', '1X=2'], 'invalid_request'],
    [['create', '--env-file', '/nowhere'], 'invalid_request'],
    [['create', '--label', 'plain'], 'invalid_request'],
    [['create', '--branch', 'b'], 'invalid_request'],
    [['create', '--repo', 'ftp://x/y'], 'invalid_repo'],
    [['create', '--repo', './nowhere'], 'invalid_repo'],
    [['create', '--nonsense'], 'invalid_request'],
    [['extend', 'w', 'soon'], 'invalid_duration'],
    [['extend', 'w'], 'invalid_request'],
    [['destroy'], 'invalid_request'],
    [['kill', 'w', 'j', '-s', 'LOUD'], 'invalid_request'],
    [['completion', 'tcsh'], 'invalid_request'],
    [['adopt', 'a', 'b', '--name', 'c'], 'invalid_request'],
    [['adopt', 'a', '--ttl', 'soon'], 'invalid_duration'],
    [['cp', 'a', 'b'], 'invalid_request'],
    [['cp', 'w:a', 'x:b'], 'invalid_request'],
  ])('%j is refused as %s before anything is asked', async (argv, code) => {
    const run = await cli([...argv, '--json'], { home: '/nonexistent' })
    expect(codeOf(run)).toBe(code)
    expect(run.status).toBe(2)
    expect(run.stderr).toBe('')
  })

  test('nobody there: exit status 6, and how to start it', async () => {
    const { status, stderr, stdout } = await cli(['list'], { home: '/nonexistent' })
    expect(status).toBe(6)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^error: No daemon answers at .*\n {2}next: .*gibil up/)
  })

  test('own failures of run and shell are 125, since every other status may be that of the command', async () => {
    expect((await cli(['run', 'w', '--', 'true'], { home: '/nonexistent' })).status).toBe(125)
    expect((await cli(['run'], { home: '/nonexistent' })).status).toBe(125)
    expect((await cli(['shell', 'w'], { home: '/nonexistent' })).status).toBe(125)
  })
})

describe('create', () => {
  test('waits for a daemon that is busy, and says so', async () => {
    const run = await gibil(['create', '--name', 'w', '--image', 'busy-once'])
    expect(run).toMatchObject({ status: 0, stdout: 'w\n' })
    expect(run.stderr).toContain('busy: the daemon is busy, asking again in 1 s')
    expect(asked).toHaveLength(2)
  })

  test('flags become a request of the contract', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'gibil-cli-'))
    await writeFile(join(dir, 'vars'), '# comment\nexport A="one two"\nB=2\n')
    const words =
      'create --name w --ttl 90m --idle 20m --on-expire stop --image i --size medium --cpu 1.5 --memory 512M --disk 3G --env A=3 --env FROM_HERE --env-file vars --user root --network none --label a=b --label c=d=e --wait running'
    const run = await gibil(words.split(' '), { cwd: dir, env: { FROM_HERE: 'x' } })
    await rm(dir, { recursive: true })
    expect(run).toMatchObject({ status: 0, stdout: 'w\n' })
    expect(CreateBox.parse(asked[0])).toEqual({
      name: 'w',
      ttl: '90m',
      idle: '20m',
      onExpire: 'stop',
      image: 'i',
      size: 'medium',
      cpu: 1.5,
      memoryMib: 512,
      diskMib: 3072,
      env: { A: '3', B: '2', FROM_HERE: 'x' },
      user: 'root',
      network: 'none',
      labels: { a: 'b', c: 'd=e' },
      wait: 'running',
    })
  })

  test('https and short addresses are cloned by the box, with the token', async () => {
    const env = { GIBIL_REPO_TOKEN: 'from-env' }
    await gibil(['create', '--name', 'a', '--repo', 'github.com/you/p', '--branch', 'b'], { env })
    await gibil(['create', '--name', 'b', '--repo', 'https://h.example/p', '--repo-token', 'given'], { env })
    await gibil(['create', '--name', 'c', '--repo', 'http://h.example/p'], { env })
    expect(asked.map(({ repo }) => repo)).toEqual([
      { url: 'https://github.com/you/p', branch: 'b', token: 'from-env' },
      { url: 'https://h.example/p', token: 'given' },
      { url: 'http://h.example/p' },
    ])
  })

  test('progress goes to stderr, one plain line each, and the answer to stdout', async () => {
    const run = await gibil(['create', '--name', 'w', '--trace'])
    expect(run.stdout).toBe('w\n')
    expect(run.stderr).toContain('  ✓ start 21 ms\n')
    expect(run.stderr).toContain('PHASE  TIME\nstart  21 ms\n')
    expect(run.stderr).toContain('next: gibil run w -- <command>')
    expect(run.stderr).not.toContain('\u001b')
  })

  test('--json prints the box and nothing else', async () => {
    const run = await gibil(['create', '--name', 'w', '--json'])
    expect(Box.parse(JSON.parse(run.stdout)).name).toBe('w')
    expect(run.stderr).toBe('')
  })

  test('a fleet', async () => {
    const run = await gibil(['create', '--name', 'f', '--fleet', '2', '--json'])
    expect(Fleet.parse(JSON.parse(run.stdout)).boxes.map(({ name }) => name)).toEqual(['f-1', 'f-2'])
    expect(asked[0]).toEqual({ name: 'f', count: 2 })
  })

  test('a name in use: exit status 4 and the error as JSON', async () => {
    await gibil(['create', '--name', 'w'])
    const run = await gibil(['create', '--name', 'w', '--json'])
    expect(run.status).toBe(4)
    expect(codeOf(run)).toBe('name_in_use')
  })
})

describe('config', () => {
  test('init writes defaults; create uses them; flags win; the home beats the user', async () => {
    const config = join(daemon.home, 'xdg')
    const env = { XDG_CONFIG_HOME: config }
    expect((await gibil(['init', '--global', '--ttl', '3h', '--size', 'large'], { env })).status).toBe(0)
    expect((await gibil(['init', '--ttl', '2h'], { env })).stdout).toBe(`${join(daemon.home, 'config.yml')}\n`)
    await gibil(['create', '--name', 'a'], { env })
    await gibil(['create', '--name', 'b', '--ttl', '5m'], { env })
    expect(asked).toEqual([
      { name: 'a', ttl: '2h', size: 'large', defaulted: ['size', 'ttl'] },
      { name: 'b', ttl: '5m', size: 'large', defaulted: ['size'] },
    ])
    const shown = JSON.parse((await gibil(['config', '--json'], { env })).stdout)
    expect(shown).toMatchObject({ home: daemon.home, defaults: { ttl: '2h', size: 'large' } })
  })

  test('a mistake in the file is told with its line', async () => {
    await writeFile(join(daemon.home, 'config.yml'), 'defaults:\n  ttl: 2h\n  sise: small\n')
    const run = await gibil(['create', '--json'])
    expect(codeOf(run)).toBe('invalid_config')
    expect(run.stdout).toContain('line 3')
    await writeFile(join(daemon.home, 'config.yml'), 'defaults:\n  ttl: [\n')
    expect(codeOf(await gibil(['create', '--json']))).toBe('invalid_config')
  })

  test('init registers the tools with clients, and leaves alone a config that is broken', async () => {
    const env = { HOME: join(daemon.home, 'user') }
    await mkdir(join(env.HOME, '.cursor'), { recursive: true })
    await writeFile(join(env.HOME, '.claude.json'), '{"mcpServers": ')
    const run = await gibil(['init', '--mcp', 'all', '--json'], { env })
    expect([run.status, codeOf(run)]).toEqual([2, 'invalid_config'])
    expect(await readFile(join(env.HOME, '.claude.json'), 'utf8')).toBe('{"mcpServers": ')
    const { mcpServers } = JSON.parse(await readFile(join(env.HOME, '.cursor/mcp.json'), 'utf8'))
    expect(mcpServers.gibil.args).toEqual(['mcp', '--home', daemon.home])
    const again = await gibil(['init', '--mcp', 'cursor', '--json'], { env })
    expect(JSON.parse(again.stdout).mcp).toMatchObject([{ client: 'cursor', result: 'unchanged' }])
    const printed = await gibil(['mcp', '--print-config', 'cursor'], { env })
    expect(JSON.parse(printed.stdout)).toEqual({ mcpServers })
    expect(codeOf(await gibil(['init', '--mcp', 'emacs', '--json'], { env }))).toBe('invalid_request')
  })

  test('init refuses what create would refuse, and then writes nothing', async () => {
    expect((await gibil(['init', '--ttl', 'soon'])).status).toBe(2)
    await expect(readFile(join(daemon.home, 'config.yml'))).rejects.toThrow()
  })
})

describe('lists', () => {
  test('empty ones say what to do, and are empty on stdout', async () => {
    expect(await gibil(['list'])).toEqual({
      status: 0,
      stdout: '',
      stderr: 'No boxes. Create one: gibil create --name w --ttl 90m\n',
    })
    expect(await gibil(['list', '--json'])).toEqual({ status: 0, stdout: '[]\n', stderr: '' })
    expect((await gibil(['top'])).stderr).toContain('No box runs')
    expect((await gibil(['events'])).stderr).toContain('No events yet')
  })

  test('boxes as a table, as names and as JSON', async () => {
    await gibil(['create', '--name', 'one'])
    await gibil(['create', '--name', 'second'])
    const { stdout } = await gibil(['list'])
    expect(stdout).toMatch(/^NAME +STATE +SHAPE/)
    expect(stdout).toMatch(/^one +running +container +base/m)
    expect((await gibil(['ls', '-q'])).stdout).toBe('one\nsecond\n')
    expect(z.array(Box).parse(JSON.parse((await gibil(['list', '--json'])).stdout))).toHaveLength(2)
    expect(Box.parse(JSON.parse((await gibil(['show', 'one', '--json'])).stdout)).name).toBe('one')
    expect((await gibil(['show', 'one'])).stdout).toMatch(/^time left +no end, then destroy$/m)
  })

  test('events are one line each', async () => {
    await gibil(['create', '--name', 'one'])
    expect((await gibil(['events'])).stdout).toMatch(/ box\.created +one/)
    expect(JSON.parse((await gibil(['events', '--json'])).stdout)).toMatchObject({
      type: 'box.created',
      boxName: 'one',
    })
  })
})

describe('several boxes at once', () => {
  beforeEach(async () => {
    for (const name of ['a', 'b']) await gibil(['create', '--name', name])
  })

  test('each is reported; the status is that of what failed', async () => {
    const run = await gibil(['destroy', 'a', 'nobody', 'b'])
    expect(run.status).toBe(3)
    expect(run.stderr).toContain('✓ a destroyed\n')
    expect(run.stderr).toContain('✓ b destroyed\n')
    expect(run.stderr).toContain('error: There is no box "nobody".\n')
    expect((await gibil(['list', '-q'])).stdout).toBe('')
  })

  test('as JSON: one box as a Box, several as boxes and failures', async () => {
    expect(Box.parse(JSON.parse((await gibil(['pause', 'a', '--json'])).stdout)).status).toBe('paused')
    const several = JSON.parse((await gibil(['stop', 'a', 'nobody', '--json'])).stdout)
    expect(several.boxes).toMatchObject([{ name: 'a', status: 'stopped' }])
    expect(several.failures).toMatchObject([{ name: 'nobody', code: 'box_not_found' }])
    expect(codeOf(await gibil(['start', 'nobody', '--json']))).toBe('box_not_found')
  })

  test('--if-exists makes destroy fit for being repeated', async () => {
    expect((await gibil(['destroy', 'a', '--if-exists'])).status).toBe(0)
    expect((await gibil(['destroy', 'a', '--if-exists'])).status).toBe(0)
    expect((await gibil(['destroy', 'a'])).status).toBe(3)
  })

  test('--all asks, and without a terminal wants --yes', async () => {
    const refused = await gibil(['destroy', '--all'])
    expect(refused.status).toBe(2)
    expect(refused.stderr).toContain('would destroy 2 boxes: a, b')
    expect((await gibil(['list', '-q'])).stdout).toBe('a\nb\n')
    expect((await gibil(['destroy', '--all', '--yes'])).status).toBe(0)
    expect((await gibil(['destroy', '--all', '--yes'])).status).toBe(0)
    expect((await gibil(['list', '-q'])).stdout).toBe('')
  })

  test('a fleet goes by its id', async () => {
    await gibil(['create', '--name', 'f', '--fleet', '2'])
    expect((await gibil(['destroy', 'f1'])).status).toBe(0)
    expect((await gibil(['list', '-q'])).stdout).toBe('a\nb\n')
  })
})

describe('snapshots', () => {
  test('without any, what to do is said', async () => {
    expect(await gibil(['snapshots'])).toMatchObject({ status: 0, stdout: '' })
    expect((await gibil(['snapshots'])).stderr).toContain('gibil snapshot <box>')
    expect((await gibil(['snapshots', '--json'])).stdout).toBe('[]\n')
  })

  test('are taken, listed as a tree, put back, forked and removed', async () => {
    await gibil(['create', '--name', 'w'])
    const taken = await gibil(['snapshot', 'w', 'one'])
    expect(taken).toMatchObject({ status: 0, stdout: 'one\n' })
    expect(taken.stderr).toContain('✓ one, disk of w, 4 KiB\n')
    expect(await gibil(['restore', 'w', 'one'])).toMatchObject({ status: 0, stdout: 'w\n' })
    await gibil(['snapshot', 'w', 'two', '--disk-only'])
    const { stdout } = await gibil(['snapshots', 'w'])
    expect(stdout).toMatch(/^NAME +BOX +KIND +SIZE +PARENT +MADE\n/)
    expect(stdout).toMatch(/^one +w +disk +4 KiB +- +/m)
    expect(stdout).toMatch(/^ {2}two +w +disk +4 KiB +one +/m)
    expect((await gibil(['snapshots', '-q'])).stdout).toBe('one\ntwo\n')
    expect(z.array(Snapshot).parse(JSON.parse((await gibil(['snapshots', '--json'])).stdout))).toHaveLength(2)
    expect(await gibil(['fork', 'one', '--name', 'f'])).toMatchObject({ status: 0, stdout: 'f\n' })
    const fleet = JSON.parse((await gibil(['fork', 'w', '--name', 'g', '--count', '2', '--json'])).stdout)
    expect(Fork.parse(fleet).boxes.map(({ name }) => name)).toEqual(['g-1', 'g-2'])
    expect(await gibil(['snapshots', 'rm', 'one'])).toMatchObject({ status: 0, stderr: '✓ one removed\n' })
    expect((await gibil(['snapshots', 'rm', 'one'])).status).toBe(3)
    expect((await gibil(['snapshots', 'rm', 'one', 'two'])).status).toBe(3)
    expect((await gibil(['snapshots', '-q'])).stdout).toBe('')
  })

  test('are mounted, listed and unmounted', async () => {
    await gibil(['create', '--name', 'w'])
    await gibil(['snapshot', 'w', 'one'])
    expect((await gibil(['mount', 'w'])).stderr).toContain('gibil mount w <snapshot>')
    expect(await gibil(['mount', 'w', 'one'])).toMatchObject({ status: 0, stdout: '/snapshots/one\n' })
    expect((await gibil(['mount', 'w', 'one', '/old'])).stdout).toBe('/old\n')
    expect((await gibil(['mount', 'w'])).stdout).toMatch(/^PATH +SNAPSHOT\n\/snapshots\/one +one\n\/old +one\n$/)
    expect(await gibil(['unmount', 'w', '/old'])).toMatchObject({ status: 0, stderr: '✓ one is unmounted\n' })
    expect((await gibil(['umount', 'w', 'one'])).stdout).toBe('/snapshots/one\n')
    expect((await gibil(['unmount', 'w', 'one'])).status).toBe(3)
    expect((await gibil(['mount', 'w', 'none'])).status).toBe(3)
    expect((await gibil(['mount', 'w', '--json'])).stdout).toBe('[]\n')
  })

  test('go all at once only when that is said twice', async () => {
    await gibil(['create', '--name', 'w'])
    await gibil(['snapshot', 'w', 'one'])
    expect((await gibil(['snapshots', 'rm'])).status).toBe(2)
    const refused = await gibil(['snapshots', 'rm', '--all'])
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('would remove one snapshot: one') })
    expect((await gibil(['snapshots', 'rm', '--all', '--yes'])).status).toBe(0)
    expect((await gibil(['snapshot', 'w', '--memory', '--disk-only'])).status).toBe(2)
    expect((await gibil(['fork', 'w', '--count', '0'])).status).toBe(2)
  })
})

describe('run', () => {
  beforeEach(() => gibil(['create', '--name', 'w']))

  test('output to stdout, and input through', async () => {
    expect(await gibil(['run', 'w', '--', 'echo', 'hello'])).toEqual({ status: 0, stdout: 'hello', stderr: '' })
    expect((await gibil(['run', 'w', '--', 'cat'], { input: 'through' })).stdout).toBe('through')
  })

  test('--json gives a RunResult', async () => {
    const run = await gibil(['run', 'w', '--json', '--', 'echo', 'hello'])
    expect(RunResult.parse(JSON.parse(run.stdout))).toMatchObject({ stdout: 'hello', exitCode: 0, truncated: false })
  })

  test('options of ours stand before --, those of the command after it', async () => {
    expect((await gibil(['run', 'w', '--', 'echo', '--json'])).stdout).toBe('--json')
    const mixed = await gibil(['run', 'w', 'ls', '-la'])
    expect(mixed.status).toBe(125)
    expect(mixed.stderr).toContain("Unknown option '-la'")
  })

  test('a command that cannot start is our failure', async () => {
    const run = await gibil(['run', 'w', '--json', '--', 'nothing'])
    expect(run.status).toBe(125)
    expect(codeOf(run)).toBe('command_not_found')
  })

  test('a signal is 128 and its number', () => {
    expect(statusOf({ exitCode: 7, signal: null })).toBe(7)
    expect(statusOf({ exitCode: null, signal: 'SIGKILL' })).toBe(137)
    expect(statusOf({ exitCode: null, signal: 'SIGTERM' })).toBe(143)
  })
})

test('logs follow the set-up to its end', async () => {
  await gibil(['create', '--name', 'w'])
  plane.finishSetup('w', 'cloning\nready\n')
  expect((await gibil(['logs', 'w', '--follow'])).stdout).toBe('cloning\nready\n')
  expect((await gibil(['logs', 'w', '--offset', '8'])).stdout).toBe('ready\n')
})

test('images: a recipe, a Dockerfile, a tarball', async () => {
  const dir = join(daemon.home, 'context')
  await mkdir(dir)
  expect((await gibil(['image', 'build', 'base', '--json'])).status).toBe(0)
  const missing = await gibil(['image', 'build', './context', '--json'], { cwd: daemon.home })
  expect(codeOf(missing)).toBe('invalid_request')
  await writeFile(join(dir, 'Dockerfile'), 'FROM base\n')
  expect((await gibil(['image', 'build', './context'], { cwd: daemon.home })).stdout).toBe('context\n')
  await writeFile(join(dir, 'root.tar'), 'x'.repeat(2048))
  const imported = await gibil(['image', 'import', 'context/root.tar', '--name', 'mine', '--json'], {
    cwd: daemon.home,
  })
  expect(JSON.parse(imported.stdout)).toMatchObject({ name: 'mine', sizeBytes: 2048 })
  expect((await gibil(['image', 'list', '-q'])).stdout).toBe('base\n')
})

test('budgets: set, shown with what is left, and taken away', async () => {
  expect((await gibil(['config', 'set', 'budget.daily', '1.25'])).stderr).toContain('1.25, of which 0.25 are taken')
  expect((await gibil(['config', 'set', 'budget.box', '0.50'])).stderr).toContain('budget of a box: 0.50')
  expect((await gibil(['cost'])).stderr).toContain('1.00 are left')
  const unset = await gibil(['config', 'unset', 'budget.daily', '--json'])
  expect(JSON.parse(unset.stdout)).toMatchObject({ daily: null, perBox: '0.50' })
  expect(codeOf(await gibil(['config', 'set', 'colour', '1', '--json']))).toBe('invalid_request')
  expect(codeOf(await gibil(['config', 'set', 'budget.daily', 'lots', '--json']))).toBe('invalid_request')
  await gibil(['create', '--name', 'w', '--max-cost', '0.05'])
  expect(asked).toMatchObject([{ maxCost: '0.05' }])
})

test('images of a cloud: baked with what it says, listed with what they cost, and removed', async () => {
  const baked = await gibil(['image', 'bake', 'vm'])
  expect(baked).toMatchObject({ status: 0, stdout: 'vm\n' })
  expect(baked.stderr).toContain('bake: #!/bin/sh')
  expect(baked.stderr).toContain('0.0286 EUR per month')
  expect((await gibil(['image', 'list'])).stdout).toMatch(/^base .*\n\n.*\nvm .*0\.0286 EUR per month {2}hetzner 77$/m)
  expect(JSON.parse((await gibil(['image', 'list', '--provider', 'hetzner', '--json'])).stdout)).toHaveLength(1)
  expect((await gibil(['image', 'rm', 'vm', '--provider', 'hetzner'])).status).toBe(0)
  expect((await gibil(['image', 'list', '--provider', 'hetzner'])).stderr).toContain('No images at hetzner')
  expect(codeOf(await gibil(['image', 'bake', 'Bad Name', '--json']))).toBe('invalid_name')
})

test('a move that is left says that it goes on', async () => {
  await gibil(['create', '--name', 'w'])
  const left = new AbortController()
  plane.move = () => {
    left.abort()
    return new Promise<never>(() => undefined)
  }
  expect(await gibil(['move', 'w', '--shape', 'microvm', '--yes'], { signal: left.signal })).toMatchObject({
    stderr: expect.stringMatching(/The move of w was begun, and goes on without you\.\n +next: .*gibil show w/),
  })
})

test('text of a box cannot move the cursor of the terminal', async () => {
  const fake = await plane.create({ name: 'w' })
  const evil: FakePlane = { ...plane, list: async () => [{ ...fake, image: 'x\u001b[2J\u0007', fleet: 'a\nb' }] }
  await using other = await startTestDaemon(evil)
  const { stdout } = await cli(['list'], { home: other.home })
  expect(stdout).not.toContain('\u0007')
  expect(stdout).not.toContain('\u001b')
  expect(stdout.trimEnd().split('\n')).toHaveLength(2)
})

test('boxes of other homes: listed, adopted one by one or all, and nothing said when there are none', async () => {
  const listed = await gibil(['adopt'])
  expect(listed.stdout).toMatch(/^NAME .*\nfar .*laptop \(0123456789abcdef\)\n/)
  expect(JSON.parse((await gibil(['adopt', '--json'])).stdout)).toHaveLength(2)
  expect(await gibil(['adopt', 'far', '--name', 'near'])).toMatchObject({ status: 0, stdout: 'near\n' })
  expect(codeOf(await gibil(['adopt', '--all', '--json']))).toBe('invalid_request')
  expect(await gibil(['adopt', '--all', '--yes'])).toMatchObject({ status: 0, stdout: 'away\n' })
  expect((await gibil(['adopt'])).stderr).toContain('Nothing to adopt')
  expect(codeOf(await gibil(['adopt', 'nothing', '--json']))).toBe('box_not_found')
})

test('down without a daemon is no failure', async () => {
  await daemon.daemon.stop()
  expect(JSON.parse((await gibil(['down', '--json'])).stdout)).toEqual({ stopped: false })
  expect((await gibil(['down'])).stderr).toContain('No daemon runs')
})
