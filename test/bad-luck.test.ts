import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readFile, rm, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorTable } from '@gibil/sdk'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { footprintOf, runDirOf } from './support/footprint.ts'
import { full } from './support/full-form.ts'
import { makeHome, root, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'

let home: TestHome
/** A box that runs a command all the time: no bad luck of another may touch it. */
let bystander: string

const soon = { timeout: 60_000, interval: 200 }
const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
const show = async (name: string) => JSON.parse(await must('show', name, '--json'))
const create = async (name: string, ...flags: string[]): Promise<string> =>
  JSON.parse(await must('create', '--name', name, '--ttl', '3h', '--json', ...flags)).id
const errorIn = (text: string): { code: string; message: string; hint: string } => JSON.parse(text).error
const ticks = async (): Promise<number> => Number(await must('run', 'bystander', 'tail -n 1 ticks'))
const daemonPid = async (): Promise<number> => JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8')).pid
/** The first process of a box, as the host sees it. */
const initOf = async (id: string): Promise<number> =>
  Number(await readFile(join(runDirOf(home.path), 'boxes', id, 'pid'), 'utf8'))

beforeAll(async () => {
  home = await makeHome()
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  bystander = await create('bystander')
  // Only what bash does by itself, so that it needs no process that it does not have.
  await must(
    'run',
    'bystander',
    '--detach',
    'mkfifo never; exec 3<> never; i=0; while :; do i=$((i + 1)); echo $i >> ticks; read -t 0.1 <&3; done',
  )
})
afterAll(() => home?.[Symbol.asyncDispose]())

describe('a box', () => {
  it('whose disk is full tells its command so, and the disk of the host is not filled', async () => {
    const id = await create('full', '--disk', '128M')
    const free = async (): Promise<number> => {
      const { bavail, bsize } = await statfs(home.path)
      return (bavail * bsize) / 1024 ** 2
    }
    const before = await free()
    const filled = await home.gibil(['run', 'full', 'dd if=/dev/zero of=big bs=1M count=2000'])
    expect(filled.stderr).toContain('No space left on device')
    expect(filled.exitCode).toBe(1)
    const upload = await home.gibil(['cp', '-', 'full:more'], { input: 'x'.repeat(1024 ** 2) })
    expect(upload.stderr).toMatch(/^error: .*\n {2}next: /)
    expect(upload.exitCode).toBe(errorTable.disk_full.exit)
    expect(before - (await free())).toBeLessThan(1000)
    expect(await must('run', 'full', 'rm big; echo whole > after; cat after')).toBe('whole\n')
    await must('destroy', 'full')
    expect(await tracesOf(id)).toEqual([])
  })

  it('that is out of memory loses the command, not itself', async () => {
    await create('hungry', '--memory', '96M')
    const eaten = await home.gibil(['run', 'hungry', '--', 'python3', '-c', 'x = bytearray(400_000_000)'])
    expect(eaten.exitCode).toBe(128 + 9)
    expect(await must('run', 'hungry', 'echo alive')).toBe('alive\n')
    expect((await show('hungry')).status).toBe('running')
    await must('destroy', 'hungry')
  })

  it('with a fork bomb meets its limit of processes, and another box works on', async () => {
    const id = await create('bomb')
    await must('run', 'bomb', '--detach', 'bomb() { bomb | bomb & }; bomb')
    const processes = async (): Promise<number> =>
      Number((await readFile(await pidsFile(id, 'current'), 'utf8')).trim())
    const limit = Number(await readFile(await pidsFile(id, 'max'), 'utf8'))
    expect(limit).toBeLessThanOrEqual(4096)
    await expect.poll(processes, soon).toBeGreaterThan(200)
    const { size } = await stat(ticksFile(bystander))
    await expect.poll(async () => (await readFile(ticksFile(bystander))).length, soon).toBeGreaterThan(size + 20)
    expect(await processes()).toBeLessThanOrEqual(limit)
    await must('destroy', 'bomb')
    expect(await tracesOf(id)).toEqual([])
    expect(await ticks()).toBeGreaterThan(0)
  })

  it('that is killed from outside is told of, and started again with its disk', async () => {
    const id = await create('killed')
    await must('run', 'killed', 'echo kept > file')
    const cut = home.gibil(['run', 'killed', 'echo begun; sleep 1000'])
    await expect.poll(() => must('jobs', 'killed'), soon).toContain('sleep')
    process.kill(await initOf(id), 'SIGKILL')
    const { exitCode, stderr } = await cut
    expect(exitCode).toBe(125)
    expect(stderr).toMatch(/^error: .*\n {2}next: /)

    // Until it is back a command is refused with what is the matter; then it runs.
    await expect
      .poll(async () => {
        const again = await home.gibil(['run', 'killed', 'cat file'])
        if (again.exitCode !== 0) expect(again.stderr).toMatch(/stopped|boxd|ended/)
        return again.stdout
      }, soon)
      .toBe('kept\n')
    const events = (await must('events', '--box', 'killed', '--json'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const end = events.findIndex(({ type, data }) => type === 'box.stopped' && data.byItself === true)
    expect(events[end]?.data.reason).toContain('kill')
    expect(events.slice(end).map(({ type }) => type)).toContain('box.running')
    await must('destroy', 'killed')
    expect(await tracesOf(id)).toEqual([])
  })

  it('that was stopped stays so, whatever is killed', async () => {
    const id = await create('still')
    await must('stop', 'still')
    await expect(initOf(id).then((pid) => process.kill(pid, 0))).rejects.toThrow()
    const refused = await home.gibil(['run', 'still', 'true'])
    expect(refused.exitCode).toBe(125)
    expect(refused.stderr).toContain('gibil start still')
    expect((await show('still')).status).toBe('stopped')
    await must('destroy', 'still')
  })

  it.runIf(full)('whose boxd hangs is said to be unreachable, and does as the hint says', async () => {
    const id = await create('hung')
    process.kill(await initOf(id), 'SIGSTOP')
    const refused = await home.gibil(['run', 'hung', '--json', 'true'])
    expect(refused.exitCode).toBe(125)
    expect(errorIn(refused.stdout)).toMatchObject({
      code: 'boxd_unreachable',
      hint: expect.stringContaining('gibil restart'),
    })
    await must('restart', 'hung', '--force')
    expect(await must('run', 'hung', 'echo again')).toBe('again\n')
    await must('destroy', 'hung')
    expect(await tracesOf(id)).toEqual([])
  })
})

const ticksFile = (id: string): string => join(runDirOf(home.path), 'boxes', id, 'rootfs/home/agent/ticks')
async function pidsFile(id: string, name: 'current' | 'max'): Promise<string> {
  const { stdout } = await execa('find', ['/sys/fs/cgroup', '-path', `*${id}*`, '-name', `pids.${name}`])
  return stdout.split('\n')[0] ?? ''
}

describe('two at once', () => {
  it('creates of one name: exactly one wins, each time', async () => {
    for (let round = 0; round < (full ? 10 : 4); round += 1) {
      const both = await Promise.all(['1', '2'].map(() => home.gibil(['create', '--name', 'contested', '--json'])))
      const [won, lost] = both.toSorted((a, b) => a.exitCode - b.exitCode)
      expect(won?.exitCode, won?.stdout).toBe(0)
      expect(lost?.exitCode).toBe(errorTable.name_in_use.exit)
      expect(errorIn(lost?.stdout ?? '')).toMatchObject({ code: 'name_in_use' })
      const { id } = JSON.parse(won?.stdout ?? '')
      expect((await show('contested')).id).toBe(id)
      await must('destroy', 'contested')
      expect((await footprintOf(home.path)).filter((line) => !line.includes(bystander))).not.toContain(`box: ${id}`)
    }
    expect(JSON.parse(await must('list', '--json'))).toHaveLength(1)
  })

  it('daemons with homes of their own share nothing', async () => {
    await using other = await makeHome()
    expect((await other.startDaemon()).exitCode).toBe(0)
    const made = JSON.parse((await other.gibil(['create', '--name', 'bystander', '--json'])).stdout)
    expect(JSON.parse((await other.gibil(['list', '--json'])).stdout)).toHaveLength(1)
    expect(JSON.parse(await must('list', '--json'))).toHaveLength(1)
    expect(made.address).not.toBe((await show('bystander')).address)
    const subnet = (address: string): string => address.split('.').slice(0, 3).join('.')
    expect(subnet(made.address)).not.toBe(subnet((await show('bystander')).address))
    expect((await home.gibil(['show', made.id])).exitCode).toBe(errorTable.box_not_found.exit)
    const foreign = await readFile(join(other.path, 'token'), 'utf8')
    const { url } = JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8'))
    const crossed = await home.gibil(['list'], { env: { GIBIL_URL: url, GIBIL_TOKEN: foreign.trim() } })
    expect(crossed.exitCode).toBe(errorTable.unauthorized.exit)
    await must('sweep')
    expect((await other.gibil(['run', 'bystander', 'echo mine'])).stdout).toBe('mine\n')
    expect((await other.gibil(['destroy', '--all', '--yes'])).exitCode).toBe(0)
    expect((await other.gibil(['down'])).exitCode).toBe(0)
    expect((await footprintOf(other.path)).filter((line) => !line.startsWith('process'))).toEqual([])
    expect(await ticks()).toBeGreaterThan(0)
  })
})

describe('a CLI that is interrupted', () => {
  it.each([50, 350, 450, 600])('%i ms into a create leaves no box', async (after) => {
    const before = await footprintOf(home.path)
    const child = cli('create', '--name', 'unwanted')
    let handedOver = ''
    child.stdout?.on('data', (data) => {
      handedOver += data
    })
    const closed = once(child, 'close')
    await new Promise((done) => setTimeout(done, after))
    child.kill('SIGINT')
    const [code, signal] = await closed
    // At the last of these times it may be done already, and the box be its user's.
    if (handedOver === 'unwanted\n') await must('destroy', 'unwanted')
    else expect(signal ?? code).not.toBe(0)
    expect((await home.gibil(['show', 'unwanted'])).exitCode).toBe(errorTable.box_not_found.exit)
    expect(await footprintOf(home.path)).toEqual(before)
  })
})

function cli(...args: string[]): ChildProcess {
  const env = { ...process.env, GIBIL_HOME: home.path, NO_COLOR: '1' }
  return spawn(join(root, 'gibil'), args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
}

describe('a daemon', () => {
  it('that is killed takes no command with it: attach goes on from an offset and loses nothing', async () => {
    const line = 'for i in $(seq 1 200); do echo "line $i"; sleep 0.02; done; exit 7'
    const job = (await must('run', 'bystander', '--detach', line)).trim()
    const attached = cli('attach', 'bystander', job)
    let seen = ''
    attached.stdout?.on('data', (data) => {
      seen += data
    })
    const left = once(attached, 'close')
    await expect.poll(() => seen, soon).toContain('line 10\n')
    const pid = await daemonPid()
    process.kill(pid, 'SIGKILL')
    const down = await home.gibil(['list', '--json'])
    expect(errorIn(down.stdout)).toMatchObject({
      code: 'daemon_unreachable',
      hint: expect.stringContaining('./gibil up'),
    })
    expect(down.exitCode).toBe(6)
    expect((await home.gibil(['run', 'bystander', 'true'])).exitCode).toBe(125)

    expect((await home.startDaemon()).exitCode).toBe(0)
    expect(await daemonPid()).not.toBe(pid)
    // The one who was attached comes back by itself, and anyone else from where they want.
    const all = Array.from({ length: 200 }, (_, index) => `line ${index + 1}\n`).join('')
    const [status] = await left
    expect(seen).toBe(all)
    expect(status).toBe(7)
    const offset = all.indexOf('line 50\n')
    const rest = await home.gibil(['attach', 'bystander', job, '--offset', String(offset)])
    expect(rest.stdout).toBe(all.slice(offset))
    expect(rest.exitCode).toBe(7)
  })

  it('that does not run is named, with how to start it', async () => {
    const nowhere = { env: { GIBIL_HOME: join(home.path, 'nowhere') } }
    for (const verb of [['list'], ['create', '--name', 'x'], ['show', 'x'], ['destroy', 'x'], ['cp', 'x:/a', 'b']]) {
      const refused = await home.gibil(verb, nowhere)
      expect(refused.exitCode, verb[0]).toBe(errorTable.daemon_unreachable.exit)
      expect(refused.stderr).toMatch(/^error: No daemon answers at .*nowhere.*\n {2}next: Start it with `\.\/gibil up`/)
    }
  })

  it('that may not be root says so, at up and at create', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'gibil-nobody-'))
    const nobody = 65534
    await chown(dir, nobody, nobody)
    const as = (...args: string[]) =>
      execa(
        'setpriv',
        ['--reuid', `${nobody}`, '--regid', `${nobody}`, '--clear-groups', join(root, 'gibil'), ...args],
        {
          env: { HOME: dir, GIBIL_HOME: join(dir, 'home'), NO_COLOR: '1' },
          reject: false,
        },
      )
    try {
      const up = await as('up')
      expect(up.stderr).toMatch(/error: .*runs as root\.\n {2}next: Run `sudo \.\/gibil up`\./)
      expect(up.exitCode).toBe(errorTable.needs_root.exit)
      const created = await as('create', '--name', 'x', '--json')
      expect(errorIn(created.stdout)).toMatchObject({ code: 'needs_root' })
      expect(created.exitCode).toBe(errorTable.needs_root.exit)
      const doctor = await as('doctor')
      expect(doctor.stdout + doctor.stderr).toContain('sudo ./gibil up')
      expect(doctor.exitCode).not.toBe(0)
    } finally {
      await as('down')
      await rm(dir, { recursive: true, force: true })
    }
  })

  it.runIf(full)('on a host without runc says what to install', async () => {
    await using other = await makeHome()
    const dir = await mkdtemp(join(tmpdir(), 'gibil-no-runc-'))
    // A mount namespace of its own, in which the directories of the runtimes are seen without them.
    const hide = `set -e
      mount -t tmpfs none ${dir}
      for name in runc crun; do
        path=$(command -v $name) || continue
        at=$(dirname $path)
        mkdir -p ${dir}/$name/upper ${dir}/$name/work
        mount -t overlay overlay -o lowerdir=$at,upperdir=${dir}/$name/upper,workdir=${dir}/$name/work $at
        rm $path
      done
      exec "$@"`
    const entry = join(root, 'packages/daemon/src/main.ts')
    const argv = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      hide,
      'sh',
      process.execPath,
      entry,
      '--home',
      other.path,
    ]
    const daemon = spawn('unshare', argv, { stdio: 'ignore' })
    const ended = once(daemon, 'exit')
    try {
      await expect.poll(async () => (await other.gibil(['list'])).exitCode, soon).toBe(0)
      const created = await other.gibil(['create', '--name', 'x', '--json'])
      expect(errorIn(created.stdout)).toMatchObject({
        code: 'missing_tool',
        message: expect.stringContaining('runc'),
        hint: expect.stringContaining('apt-get install runc'),
      })
      expect(created.exitCode).toBe(errorTable.missing_tool.exit)
      expect(JSON.parse((await other.gibil(['list', '--json'])).stdout)).toEqual([])
    } finally {
      daemon.kill('SIGTERM')
      await ended
      await rm(dir, { recursive: true, force: true })
    }
  })
})
