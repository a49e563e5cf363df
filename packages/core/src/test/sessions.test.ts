import { text } from 'node:stream/consumers'
import { GibilError, type Session, type StartSession } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { full } from '../../../../test/support/full-form.ts'
import { createControlPlane } from '../index.ts'
import { createCrash } from './crash.ts'
import { createFakeBoxd } from './fake-boxd.ts'
import { createFakeDriver } from './fake-driver.ts'
import { exit, type HostJob } from './host.ts'
import { createWorld, type World } from './world.ts'

const url = 'https://git.example/you/project'
const sha = 'b'.repeat(40)

let world: World

beforeEach(async () => {
  world = createWorld()
  world.host.repos.set(url, { 'a.txt': 'a' })
  await world.restart()
})
afterEach(async () => {
  expect(world.host.violations).toEqual([])
  await world.close()
})

/** Starts an agent at a task in the box `w`, which is made if it is not there. */
async function start(input: Partial<StartSession> = {}): Promise<Session> {
  if ((await world.plane.list()).length === 0) {
    await world.clock.until(world.plane.create({ name: 'w', repo: { url } }))
  }
  return world.clock.until(world.plane.sessions.start({ box: 'w', agent: 'work', task: 'the task', ...input }))
}
const ended = async ({ id }: Session): Promise<Session> => {
  const session = await world.clock.until(world.plane.sessions.get(id, { waitMs: 600_000 }))
  expect(session.state).toBe('ended')
  return session
}
/** The process of an agent on the host. */
function agentOf({ job, box }: Session): HostJob {
  const found = world.box(box.id).jobs.get(job ?? '')
  if (!found) throw new Error('the agent does not run')
  return found
}
const print = (session: Session, output: string): void => {
  agentOf(session).output += output
}
const end = (session: Session, exitCode: number): void => agentOf(session).ended.resolve(exit(exitCode))
const statusOf = async (ref: string): Promise<string> => (await world.plane.get(ref)).status
const agents = (): number => world.host.ran.filter(({ line }) => line.startsWith('bash -c work "$1" agent')).length

describe('an agent', () => {
  test('that is done leaves its work, which is there when its box is not', async () => {
    world.command(/ git bundle|bundle create/, 0, `${sha} none 2 true\n`)
    world.command(/^bash -c work/, 0, 'all \u001b[1mdone\u001b[0m\r\n')
    const session = await ended(await start({ env: { KEY: 'sk-secret' }, onEnd: 'destroy' }))
    expect(session).toMatchObject({
      outcome: 'done',
      exit: { exitCode: 0 },
      lastLines: 'all done',
      envNames: ['KEY'],
      result: { commit: sha, base: null, commits: 2, uncommitted: true },
      failure: null,
    })
    expect(await world.plane.list()).toEqual([])
    expect(JSON.stringify(await world.store.listSessions())).not.toContain('sk-secret')
    expect(await text(await world.plane.sessions.result(session.id, 'patch'))).toBe('')
    // The task is a parameter of bash and no part of what it reads.
    expect(world.host.ran.find(({ line }) => line.startsWith('bash -c work'))).toMatchObject({
      line: 'bash -c work "$1" agent the task',
      env: { KEY: 'sk-secret' },
    })
  })

  test('that dies says how, and its box sleeps', async () => {
    world.command(/^bash -c work/, 7, 'about to fall\n')
    const session = await ended(await start())
    expect(session).toMatchObject({ outcome: 'failed', exit: { exitCode: 7 }, lastLines: 'about to fall' })
    expect(await statusOf('w')).toBe('paused')
  })

  test('that hangs is ended by the box at its timeout, and told as that', async () => {
    world.host.commands.push({
      match: /^bash -c work/,
      act: async () => ({ output: 'no end\n', exit: exit(null, { signal: 'SIGKILL', timedOut: true }) }),
    })
    expect(await ended(await start({ timeout: '1m' }))).toMatchObject({
      outcome: 'timed-out',
      timeoutSeconds: 60,
      lastLines: 'no end',
    })
  })

  test('that does not heed SIGTERM is killed after five seconds when it is stopped', async () => {
    world.command(/^bash -c work/, 'hangs')
    const signals: [string, number][] = []
    const boxd = createFakeBoxd(world.host, world.clock)
    const stubborn = (dial: Parameters<typeof boxd>[0]) => {
      const inner = boxd(dial)
      return {
        ...inner,
        async signalJob(...[id, options]: Parameters<typeof inner.signalJob>) {
          signals.push([options.signal, world.clock.now()])
          if (options.signal === 'SIGKILL') await inner.signalJob(id, options)
        },
      }
    }
    await world.clock.until(world.plane.stop())
    await world.restart({ connectBoxd: stubborn })
    const session = await start()
    const stopped = await world.clock.until(world.plane.sessions.stop(session.id))
    expect(stopped).toMatchObject({ state: 'ended', outcome: 'stopped' })
    expect(signals.map(([name]) => name)).toEqual(['SIGTERM', 'SIGKILL'])
    expect((signals[1]?.[1] ?? 0) - (signals[0]?.[1] ?? 0)).toBe(5000)
  })

  test('that floods is read in pages that lose nothing and cut no character', async () => {
    const flood = 'flöde '.repeat(100_000)
    world.command(/^bash -c work/, 0, `${flood}\nend of flood\n`)
    const { id, outputBytes, lastLines } = await ended(await start())
    expect(outputBytes).toBe(Buffer.byteLength(`${flood}\nend of flood\n`))
    expect(lastLines.length).toBeLessThanOrEqual(4096)
    expect(lastLines).toMatch(/end of flood$/)
    let all = ''
    for (let offset = 0; ; ) {
      const page = await world.plane.sessions.output(id, { offset, limit: 65_537 })
      if (page.done) break
      expect(Buffer.byteLength(page.text)).toBeLessThanOrEqual(65_537)
      expect(page.lost).toBe(0)
      all += page.text
      offset = page.nextOffset
    }
    expect(all).toBe(`${flood}\nend of flood\n`)
  })

  test('that asks is quiet with its question as the last line, until somebody answers', async () => {
    world.command(/^bash -c work/, 'hangs')
    const session = await start()
    print(session, 'Overwrite? [y/N] ')
    await world.clock.advance(60_000)
    const asking = await world.plane.sessions.get(session.id)
    expect(asking).toMatchObject({ state: 'running', outcome: null, lastLines: 'Overwrite? [y/N]' })
    expect(asking.quietSeconds).toBeGreaterThanOrEqual(30)
    print(session, 'y\r\nwritten\r\n')
    await world.clock.advance(21_000)
    expect((await world.plane.sessions.get(session.id)).quietSeconds).toBeLessThan(21)
    end(session, 0)
    expect(await ended(session)).toMatchObject({ outcome: 'done', lastLines: 'Overwrite? [y/N] y\nwritten' })
  })

  test('that cannot be started leaves no session; one that is known is installed without its keys', async () => {
    world.command(/^bash .* provide codex/s, 1, '')
    await expect(start({ agent: 'codex', env: { CODEX_API_KEY: 'sk-1' } })).rejects.toMatchObject({
      code: 'command_failed',
      hint: expect.stringContaining('@openai/codex'),
    })
    expect(await world.plane.sessions.list()).toEqual([])
    world.command(/^bash .* provide codex/s, 0, '/usr/bin/codex\n')
    world.command(/^\/usr\/bin\/codex/, 0)
    await ended(await start({ agent: 'codex', env: { CODEX_API_KEY: 'sk-1' } }))
    const installs = world.host.ran.filter(({ line }) => line.includes('provide codex'))
    expect(installs.map(({ env }) => env)).toEqual([{}, {}])
    expect(world.host.ran.find(({ line }) => line.startsWith('/usr/bin/codex'))).toMatchObject({
      line: expect.stringMatching(/the task$/),
      env: { CODEX_API_KEY: 'sk-1' },
    })
  })
})

describe('a box', () => {
  test('whose work cannot be fetched is not destroyed', async () => {
    world.command(/bundle create/, 128, 'fatal: disk full\n')
    world.command(/^bash -c work/, 0)
    expect(await ended(await start({ onEnd: 'destroy' }))).toMatchObject({
      outcome: 'done',
      result: null,
      failure: { code: 'command_failed' },
    })
    expect(await statusOf('w')).toBe('paused')
  })

  test('of two agents is left alone until the second has ended', async () => {
    world.command(/^bash -c work/, 'hangs')
    const first = await start()
    const second = await start({ onEnd: 'keep' })
    end(first, 0)
    await ended(first)
    expect(await statusOf('w')).toBe('running')
    end(second, 0)
    await ended(second)
    expect(await statusOf('w')).toBe('running')
  })

  test.each<[string, (id: string) => Promise<unknown>, string]>([
    ['is stopped', (id) => world.plane.stopBox(id), 'stopped'],
    ['is destroyed', (id) => world.plane.destroy(id), ''],
    ['is started anew', (id) => world.plane.restart(id, { force: true }), 'was started anew'],
  ])('that %s loses its agent, and what that printed stays', async (_, act, why) => {
    world.command(/^bash -c work/, 'hangs')
    const session = await start({ onEnd: 'destroy' })
    print(session, 'so far\n')
    await world.clock.advance(21_000)
    await world.clock.until(act(session.box.id))
    const lost = await ended(session)
    expect(lost).toMatchObject({ outcome: 'lost', lastLines: 'so far', failure: { code: 'interrupted' } })
    expect(lost.failure?.message).toContain(why)
    const page = await world.plane.sessions.output(session.id, { offset: 0, limit: 1000 })
    expect(page.text).toBe('so far\n')
    // A box whose agent was lost is never destroyed by that.
    expect(await world.plane.list()).toHaveLength(why === '' ? 0 : 1)
  })
})

describe('a daemon that', () => {
  test('is started anew goes on recording where the one before was', async () => {
    world.command(/^bash -c work/, 'hangs')
    const session = await start()
    print(session, 'before\n')
    await world.clock.advance(21_000)
    await world.clock.until(world.plane.stop())
    print(session, 'meanwhile\n')
    await world.restart()
    print(session, 'after\n')
    end(session, 3)
    expect(await ended(session)).toMatchObject({ outcome: 'failed', exit: { exitCode: 3 } })
    const { text: said, lost } = await world.plane.sessions.output(session.id, { offset: 0, limit: 1000 })
    expect([said, lost]).toEqual(['before\nmeanwhile\nafter\n', 0])
  })

  test('finds its box started anew says that the agent was lost', async () => {
    world.command(/^bash -c work/, 'hangs')
    const session = await start()
    await world.clock.until(world.plane.stop())
    world.host.endJobs(world.box(session.box.id))
    await world.restart()
    const lost = await ended(session)
    expect(lost).toMatchObject({ outcome: 'lost', failure: { message: expect.stringContaining('started anew') } })
  })

  test('is killed starts no agent twice, loses no output, and ends the session', async () => {
    const outcomes = new Set<string>()
    for (let at = 1; ; at += full ? 1 : 2) {
      await world.close()
      world = createWorld({ startAttempts: 5 })
      world.command(/^bash -c work/, 0, 'one\ntwo\n')
      await world.restart()
      await world.clock.until(world.plane.create({ name: 'w' }))
      await world.clock.until(world.plane.stop())
      world.driver = createFakeDriver(world.host)
      const crash = createCrash(world.deps(), at)
      const plane = createControlPlane(crash.deps)
      let over = false
      const story = (async () => {
        await plane.start()
        const { id } = await plane.sessions.start({ box: 'w', agent: 'work', task: 't', onEnd: 'destroy' })
        await plane.sessions.get(id, { waitMs: 60_000 })
      })().finally(() => {
        over = true
      })
      story.catch(() => undefined)
      for (let count = 0; count < 50 && !over && !crash.dead(); count += 1) await world.clock.advance(200)
      await world.clock.settle()
      crash.disarm()
      const lived = !crash.dead()
      const where = lived ? 'lived' : `died at place ${at}, ${crash.where()}`
      if (lived) await world.clock.until(plane.stop())

      await world.restart()
      await world.clock.advance(60_000)
      const sessions = await world.plane.sessions.list()
      for (const session of sessions) {
        expect(session, where).toMatchObject({ state: 'ended', outcome: expect.stringMatching(/^(done|lost)$/) })
        outcomes.add(session.outcome ?? '')
        const { text: said } = await world.plane.sessions.output(session.id, { offset: 0, limit: 1000 })
        expect(said, where).toBe(session.outcome === 'done' ? 'one\ntwo\n' : '')
      }
      expect(agents(), where).toBeLessThanOrEqual(1)
      expect(sessions.length, where).toBeLessThanOrEqual(1)
      // The box goes when its agent was done, and is there in any other case.
      const boxes = (await world.plane.list()).length
      expect(boxes, where).toBe(sessions[0]?.outcome === 'done' ? 0 : 1)
      if (lived) break
    }
    expect([...outcomes].sort()).toEqual(['done', 'lost'])
  }, 120_000)
})

test('a session that is not there is told as that, and one that runs cannot be forgotten', async () => {
  await expect(world.plane.sessions.get('nobody')).rejects.toSatisfy(
    (error) => GibilError.is(error) && error.code === 'session_not_found',
  )
  world.command(/^bash -c work/, 'hangs')
  const session = await start()
  await expect(world.plane.sessions.remove(session.id)).rejects.toMatchObject({ code: 'wrong_state' })
  await expect(world.plane.sessions.result(session.id, 'patch')).rejects.toMatchObject({ code: 'file_not_found' })
  end(session, 0)
  await ended(session)
  await world.plane.sessions.remove('w')
  expect(await world.plane.sessions.list()).toEqual([])
})
