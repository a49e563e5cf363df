import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiOf } from '../../../test/support/api.ts'
import { makeHome, root, type TestHome } from '../../../test/support/home.ts'
import { makeProject } from '../../../test/support/project.ts'
import { makeSmallImage } from '../../../test/support/small-image.ts'
import { type Connected, connect, overStdio } from './support/client.ts'
import { inspect, inspectUrl, toolCall } from './support/inspector.ts'
import { pagesOf, skillDir, verbsIn } from './support/skill.ts'

// Real boxes. The clients are the official inspector and the official client, which we did not write.
let home: TestHome
let dir: string
/** Of the newest generation of the protocol. */
let mcp: Connected

beforeAll(async () => {
  home = await makeHome()
  dir = await mkdtemp(join(tmpdir(), 'gibil-mcp-'))
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  mcp = await connect(overStdio(home.path, dir))
  await ok('box_create', { name: 'w', ttl: '30m' })
})
afterAll(async () => {
  await mcp?.[Symbol.asyncDispose]()
  await home?.[Symbol.asyncDispose]()
  if (dir) await rm(dir, { recursive: true, force: true })
})

/** Stands in for an agent: does what its task says. */
const agent = `#!/bin/bash
echo "a key of \${#MODEL_KEY} characters"
case "$1" in
ask) printf '\\033[1mOverwrite?\\033[0m [y/N] '; read -r answer; echo "answer: $answer" | tee answer.txt; seq 100 >>kept.txt ;;
hang) trap '' TERM; while :; do sleep 1; done ;;
esac
`

/** What a tool answers to a program. */
async function ok(name: string, args: Record<string, unknown>) {
  const { text, data, isError } = await mcp.call(name, args)
  expect(isError, text).toBe(false)
  return data
}
/** What it says to a model when it cannot. */
async function refused(name: string, args: Record<string, unknown>): Promise<string> {
  const { text, isError } = await mcp.call(name, args)
  expect(isError, text).toBe(true)
  return text
}
const run = (command: string, more: object = {}) => ok('box_run', { box: 'w', command, ...more })

test('the inspector makes a box, runs a command in it and destroys it', async () => {
  const server = [`${root}/gibil`, 'mcp', '--home', home.path]
  const call = (name: string, args: Record<string, unknown>) => inspect(server, toolCall(name, args))
  const made = await call('box_create', { name: 'i', ttl: '30m' })
  expect(made.data, made.raw).toMatchObject({ ready: true, box: { name: 'i', cost: 'nothing', atTheEnd: 'destroy' } })
  const ran = await call('box_run', { box: 'i', command: 'echo out; sleep 0.2; echo err >&2; exit 3' })
  expect(ran.data, ran.raw).toMatchObject({ running: false, exitCode: 3, output: 'out\nerr\n' })
  expect((await call('box_destroy', { box: 'i', confirm: 'i' })).data).toEqual({ destroyed: ['i'], alreadyGone: false })
})

test('each tool has a title, schemas of what goes in and comes out, and says what it may do; both generations see the same', async () => {
  expect(mcp.client.getNegotiatedProtocolVersion()).toBe('2026-07-28')
  await using before = await connect(overStdio(home.path, dir), 'before')
  expect(before.client.getNegotiatedProtocolVersion()).toBe('2025-11-25')
  const [{ tools }, old] = await Promise.all([mcp.client.listTools(), before.client.listTools()])
  expect(old.tools.map(({ name }) => name)).toEqual(tools.map(({ name }) => name))
  for (const { name, title, description, outputSchema, annotations } of tools) {
    expect(name).toMatch(/^[a-z]+_[a-z]+$/)
    expect(title && description && outputSchema, name).toBeTruthy()
    const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = annotations ?? {}
    for (const hint of [readOnlyHint, destructiveHint, idempotentHint, openWorldHint])
      expect(hint, name).toBeTypeOf('boolean')
  }
  const { isError, data } = await before.call('box_show', { box: 'w' })
  expect(isError).toBe(false)
  expect(data.box.timeLeft).toMatch(/m/)
})

describe('a command', () => {
  test('gets input, environment, user and directory', async () => {
    const told = await run('cat; echo "$X"; id -un; pwd', { stdin: 'in\n', env: { X: 'y' }, user: 'root', cwd: '/usr' })
    expect(told.output).toBe('in\ny\nroot\n/usr\n')
  })

  test('that takes long becomes a job, which is followed and ended', async () => {
    const job = await run('echo begun; sleep 100; echo over', { waitSeconds: 1 })
    expect(job).toMatchObject({ running: true, exitCode: null, output: 'begun\n' })
    const later = await ok('job_output', { box: 'w', job: job.job, offset: 2 })
    expect(later).toMatchObject({ running: true, output: 'gun\n', offset: 2, nextOffset: 6 })
    expect((await ok('job_list', { running: true })).jobs).toMatchObject([
      { box: 'w', job: job.job, command: 'echo begun; sleep 100; echo over' },
    ])
    expect(await ok('job_cancel', { box: 'w', job: job.job })).toMatchObject({ running: false, signal: 'SIGTERM' })
    const stubborn = await run('trap "" TERM; echo on; while :; do sleep 1; done', { waitSeconds: 1 })
    expect(await ok('job_cancel', { box: 'w', job: stubborn.job, force: true })).toMatchObject({ signal: 'SIGKILL' })
  })

  test('is waited for by its job, and ends at its time limit', async () => {
    const { job } = await run('sleep 1; echo over; exit 4', { waitSeconds: 0 })
    expect(await ok('job_output', { box: 'w', job, waitSeconds: 60 })).toMatchObject({ exitCode: 4, output: 'over\n' })
    expect(await run('sleep 100', { timeoutSeconds: 1 })).toMatchObject({ running: false, timedOut: true })
  })

  test('that prints 100 MB is bounded: its beginning, its end, and a cursor to what is between', async () => {
    const flood = await run('echo first; yes 0123456789abcde | head -c 100000000; echo; echo last', {
      maxBytes: 2000,
      waitSeconds: 120,
    })
    expect(flood).toMatchObject({ exitCode: 0, outputBytes: 100_000_012, omittedFrom: 500 })
    expect(flood.output).toMatch(/^first\n0123/)
    expect(flood.output).toMatch(/cde\n\nlast\n$/)
    expect(flood.output.length).toBeLessThan(2200)
    const end = await ok('job_output', { box: 'w', job: flood.job, maxBytes: 300 })
    expect(end).toMatchObject({ nextOffset: 100_000_012, output: expect.stringMatching(/last\n$/) })
    // The box keeps a part of so much; what is no longer there is said and not left out in silence.
    expect(await ok('job_output', { box: 'w', job: flood.job, offset: 500, maxBytes: 300 })).toMatchObject({
      lostBytes: expect.any(Number),
      output: expect.stringContaining('0123456789abcde'),
    })
  })

  test('goes on when its client drops in the middle, and another finds it again', async () => {
    const other = await connect(overStdio(home.path, dir))
    const asked = other.call('box_run', { box: 'w', command: 'echo working; sleep 2; echo whole > ~/result' })
    asked.catch(() => undefined)
    await expect.poll(async () => (await ok('job_list', { running: true })).jobs.length).toBe(1)
    await other[Symbol.asyncDispose]()
    await expect(asked).rejects.toThrow()
    const [job] = (await ok('job_list', { box: 'w', running: true })).jobs
    expect(await ok('job_output', { box: 'w', job: job.job, waitSeconds: 60 })).toMatchObject({ exitCode: 0 })
    expect((await ok('file_read', { box: 'w', path: 'result' })).text).toBe('whole\n')
  })

  test('goes on when the call is cancelled', async () => {
    const abort = new AbortController()
    const asked = mcp.call('box_run', { box: 'w', command: 'sleep 2; echo kept' }, { signal: abort.signal })
    await expect.poll(async () => (await ok('job_list', { running: true })).jobs.length).toBe(1)
    abort.abort()
    await expect(asked).rejects.toThrow()
    const [job] = (await ok('job_list', { running: true })).jobs
    expect(await ok('job_output', { box: 'w', job: job.job, waitSeconds: 60 })).toMatchObject({ output: 'kept\n' })
  })
})

describe('files', () => {
  test('are written, read in parts, and edited by text and by patch', async () => {
    await ok('file_write', { box: 'w', path: 'a/b.txt', content: 'one\ntwo\nthree\nfour\n' })
    expect(await ok('file_read', { box: 'w', path: 'a/b.txt', line: 2, lines: 2 })).toMatchObject({
      text: 'two\nthree\n',
      line: 2,
      nextLine: 4,
    })
    await ok('file_edit', {
      box: 'w',
      path: 'a/b.txt',
      edits: [
        { old: 'two', new: '2' },
        { old: '2\nthree', new: '2\n3' },
      ],
    })
    await ok('file_edit', {
      box: 'w',
      path: 'a/b.txt',
      patch: '--- a/b.txt\n+++ b/b.txt\n@@ -3,9 +3,9 @@\n 3\n-four\n+4\n',
    })
    expect((await ok('file_read', { box: 'w', path: '~/a/b.txt' })).text).toBe('one\n2\n3\n4\n')
    expect((await ok('file_list', { box: 'w', path: 'a' })).entries).toMatchObject([
      { path: 'b.txt', kind: 'file', bytes: 10 },
    ])
    expect(await refused('file_write', { box: 'w', path: 'a/b.txt', content: '', createOnly: true })).toContain(
      'file_conflict',
    )
  })

  test('an edit that does not fit changes nothing, and says what is there instead', async () => {
    const text = 'def one():\n    return 1\n\ndef two():\n    return 2\n\nx = 1\nx = 1\n'
    await ok('file_write', { box: 'w', path: 'e.py', content: text })
    const edit = (edits: unknown) => refused('file_edit', { box: 'w', path: 'e.py', edits })
    expect(await edit([{ old: 'def two():\n  return 2', new: '' }])).toMatch(
      /Only white space differs, from line 4:\n4: def two\(\):\n5: {5}return 2/,
    )
    expect(
      await edit([
        { old: 'return 1', new: 'return 0' },
        { old: 'def tvo():', new: '' },
      ]),
    ).toContain('4: def two():')
    expect(await edit([{ old: 'x = 1', new: '' }])).toContain('2 times, at the lines 7, 8')
    const patch = '@@ -1,2 +1,2 @@\n def one():\n-    return 11\n+    return 12\n'
    expect(await refused('file_edit', { box: 'w', path: 'e.py', patch })).toContain('2:     return 1')
    expect((await ok('file_read', { box: 'w', path: 'e.py' })).text).toBe(text)
  })

  test('of edits at once by several clients none is lost', async () => {
    await ok('file_write', { box: 'w', path: 'list', content: 'end\n' })
    await using other = await connect(overStdio(home.path, dir))
    const add = ({ call }: Connected, word: string) =>
      call('file_edit', { box: 'w', path: 'list', edits: [{ old: 'end\n', new: `${word}\nend\n` }] })
    const words = ['a', 'b', 'c', 'd', 'e', 'f']
    const answers = await Promise.all(words.map((word, index) => add(index % 2 ? mcp : other, word)))
    expect(answers.filter(({ isError }) => isError)).toEqual([])
    const { text } = await ok('file_read', { box: 'w', path: 'list' })
    expect(text.trim().split('\n').sort()).toEqual([...words, 'end'].sort())
  })

  test('that are no text are told apart, and a picture is shown', async () => {
    expect(await ok('file_read', { box: 'w', path: '/bin/ls' })).toMatchObject({
      binary: 'an ELF program or library',
      text: '',
    })
    const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII='
    await ok('file_write', { box: 'w', path: 'p.png', content: png, encoding: 'base64' })
    const { content } = await mcp.call('file_read', { box: 'w', path: 'p.png' })
    expect(content[1]).toMatchObject({ type: 'image', mimeType: 'image/png', data: png })
    expect(await refused('file_edit', { box: 'w', path: 'p.png', edits: [{ old: 'a', new: 'b' }] })).toContain(
      'no text',
    )
    expect(await refused('file_read', { box: 'w', path: 'p.pgn' })).toContain('Did you mean')
    expect(await refused('file_read', { box: 'w', path: '/etc' })).toContain('file_list')
  })

  test('are searched by ripgrep, and by grep where there is none; what explodes is ended', async () => {
    await run(
      'mkdir -p s && cd s && seq 1 5000 > numbers && printf "a:b needle\\n" > "x:1" && head -c 1000003 /dev/zero | tr "\\0" a > long',
    )
    const search = (more: object) => ok('file_search', { box: 'w', path: 's', ...more })
    const found = { matches: [{ path: '/home/agent/s/x:1', line: 1, text: 'a:b needle' }], complete: true }
    expect(await search({ pattern: 'need.e' })).toMatchObject({ ...found, by: 'rg' })
    const many = await search({ pattern: '^[0-9]+$', maxMatches: 10 })
    expect(many).toMatchObject({ complete: false })
    expect(many.matches).toHaveLength(10)
    expect(await search({ pattern: 'a:b n', fixed: true, glob: 'x*' })).toMatchObject({
      complete: true,
      matches: [{ line: 1 }],
    })
    expect(await refused('file_search', { box: 'w', pattern: '((' })).toContain('unclosed group')
    await run('mv /usr/bin/rg /usr/bin/rg.away', { user: 'root' })
    expect(await search({ pattern: 'need.e' })).toMatchObject({ ...found, by: 'grep' })
    const explodes = { box: 'w', path: 's/long', pattern: '^(aa+)\\1+$', timeoutSeconds: 2 }
    expect(await refused('file_search', explodes)).toMatch(/timeout: |search failed/)
    await run('mv /usr/bin/rg.away /usr/bin/rg', { user: 'root' })
    expect((await ok('job_list', { running: true })).jobs).toEqual([])
  })

  test('come from this machine and go to it, below one directory', async () => {
    await writeFile(join(dir, 'up.bin'), Buffer.alloc(3_000_000, 'gibil'))
    await ok('file_upload', { box: 'w', local: 'up.bin', path: 'there/' })
    await ok('file_download', { box: 'w', path: 'there/up.bin', local: 'back.bin' })
    expect((await readFile(join(dir, 'back.bin'))).equals(await readFile(join(dir, 'up.bin')))).toBe(true)
    expect(await refused('file_download', { box: 'w', path: 'there/up.bin', local: 'back.bin' })).toContain(
      'file_conflict',
    )
    expect((await ok('file_download', { box: 'w', path: 'there', local: 'tree' })).files).toBe(1)
    await symlink('/etc', join(dir, 'out'))
    for (const local of ['/etc/hostname', '../x', 'out/hostname']) {
      expect(await refused('file_upload', { box: 'w', local, path: 'x' })).toContain('outside of')
    }
    expect(await refused('box_create', { repo: '/etc' })).toContain('outside of')
  })
})

describe('boxes', () => {
  test('that are not there: one of a similar name, one that is gone, one that never was', async () => {
    await ok('box_create', { name: 'web-server', ttl: '30m' })
    expect(await refused('box_run', { box: 'web-sever', command: 'true' })).toContain('Did you mean "web-server"?')
    expect(await refused('box_destroy', { box: 'web-server' })).toContain('confirm "web-server"')
    await ok('box_destroy', { box: 'web-server', confirm: 'web-server' })
    expect(await refused('box_show', { box: 'web-server' })).toContain('was destroyed at')
    expect(await ok('box_destroy', { box: 'web-server', confirm: 'web-server' })).toEqual({
      destroyed: [],
      alreadyGone: true,
    })
    expect(await refused('box_show', { box: 'nothing-like-it' })).toContain('box_create')
    expect(await refused('job_output', { box: 'w', job: 'j' })).toContain('job_list')
  })

  test('whose time is over say so', async () => {
    await ok('box_create', { name: 'short', ttl: '2s', onExpire: 'destroy' })
    await expect
      .poll(async () => (await ok('box_list', {})).boxes.map(({ name }: { name: string }) => name))
      .not.toContain('short')
    expect(await refused('box_run', { box: 'short', command: 'true' })).toContain('its time was over')
  })

  test('that sleep wake when they are used, and get more time', async () => {
    expect((await ok('box_pause', { box: 'w' })).box.status).toBe('paused')
    expect((await ok('job_list', {})).jobs).toEqual([])
    expect((await run('echo awake')).output).toBe('awake\n')
    await ok('box_pause', { box: 'w', stop: true })
    expect(await refused('box_run', { box: 'w', command: 'true' })).toContain('box_resume')
    expect((await ok('box_resume', { box: 'w' })).box.status).toBe('running')
    expect((await ok('box_extend', { box: 'w', ttl: '2h' })).box.timeLeft).toMatch(/^(2h|1h 59m)/)
    expect(await refused('box_extend', { box: 'w', ttl: 'soon' })).toContain('invalid_duration')
  })

  test('are saved, forked and put back', async () => {
    await run('echo good > state')
    const { snapshot } = await ok('box_snapshot', { box: 'w', name: 'before' })
    await run('echo bad > state')
    const { boxes } = await ok('box_fork', { from: 'before', name: 'try' })
    expect(boxes).toMatchObject([{ name: 'try', readiness: 'ready' }])
    expect((await ok('file_read', { box: 'try', path: 'state' })).text).toBe('good\n')
    expect(await refused('box_restore', { box: 'w', snapshot: 'befor' })).toContain('Did you mean "before"?')
    await ok('box_restore', { box: 'w', snapshot })
    expect((await ok('file_read', { box: 'w', path: 'state' })).text).toBe('good\n')
    expect((await ok('box_show', { box: 'w' })).snapshots).toMatchObject([{ name: 'before' }])
    await ok('box_destroy', { box: 'try', confirm: 'try' })
    expect(await refused('snapshot_delete', { snapshot: 'befor' })).toContain('Did you mean "before"?')
    expect(await ok('snapshot_delete', { snapshot: 'before' })).toEqual({ deleted: 'before' })
    expect((await ok('box_show', { box: 'w' })).snapshots).toEqual([])
  })

  test('a port is published, and a page of it comes to whoever has the link', async () => {
    await run('cd /tmp && echo page > index.html && exec python3 -m http.server 8123', { waitSeconds: 0 })
    await expect.poll(async () => (await ok('box_show', { box: 'w' })).listening).toMatchObject([{ port: 8123 }])
    const { link, listening } = await ok('port_publish', { box: 'w', port: 8123 })
    expect(listening).toBe(true)
    const url = new URL(link)
    const token = url.searchParams.get('gibil_token') ?? ''
    expect(await inBrowser(url, token)).toBe('page\n')
    await ok('port_unpublish', { box: 'w', port: 8123 })
    expect((await ok('box_show', { box: 'w' })).published).toEqual([])
    expect(await inBrowser(url, token)).not.toBe('page\n')
  })

  test('several at once: made, shared work out, collected, destroyed by one id', async () => {
    const { fleet, boxes, failures } = await ok('fleet_create', { name: 'f', count: 2, ttl: '30m' })
    expect([boxes.length, failures]).toEqual([2, []])
    const command = 'echo "$GIBIL_INDEX of $GIBIL_COUNT" | tee part; sleep 1; exit $GIBIL_INDEX'
    const begun = await ok('fleet_run', { fleet, command, waitSeconds: 0 })
    const all = await ok('fleet_collect', { fleet, waitSeconds: 60 })
    expect(all).toMatchObject({
      run: begun.run,
      done: true,
      boxes: [
        { box: 'f-1', output: '0 of 2\n', command: { exitCode: 0 } },
        { box: 'f-2', output: '1 of 2\n', command: { exitCode: 1 } },
      ],
    })
    await ok('box_destroy', { box: 'f-1', confirm: 'f-1' })
    expect((await ok('fleet_collect', { fleet, path: 'part' })).boxes).toMatchObject([
      { box: 'f-2', output: '1 of 2\n' },
    ])
    expect(await ok('box_destroy', { fleet, confirm: fleet })).toMatchObject({ destroyed: ['f-2'] })
    expect(await refused('fleet_run', { fleet, command })).toContain('fleet_not_found')
  })
})

describe('a box of another kind', () => {
  test('is chosen by what is needed, with what makes it', async () => {
    const choice = await ok('box_choose', { docker: true, memory: '1G', ttl: '2h' })
    expect(choice).toMatchObject({ shape: 'microvm', image: 'docker', cost: 'nothing', memoryMib: 1024 })
    expect(choice.create).toMatchObject({ shape: 'microvm', image: 'docker', memory: '1024M', ttl: '2h' })
    expect(choice.others.map(({ box }: { box: string }) => box)).toContain('vm at hetzner')
    expect(await refused('box_choose', { where: 'here', publicAddress: true })).toContain('contradictory_needs')
  })

  test('is what a box is moved to, once the end of what runs in it was confirmed; its files stay', async () => {
    await run('echo kept > of-before')
    await run('exec sleep 1000', { waitSeconds: 0 })
    const asked = { box: 'w', memory: '1G' }
    expect(await refused('box_move', asked)).toMatch(/would be ended.*sleep 1000.*\n.*confirm "w"/)
    expect((await ok('job_list', { running: true })).jobs[0].command).toBe('exec sleep 1000')
    expect(await ok('box_move', { ...asked, confirm: 'w' })).toMatchObject({ shape: 'container', carriedBytes: 0 })
    expect(await ok('box_show', { box: 'w' })).toMatchObject({ memoryMib: 1024, box: { status: 'running' } })
    expect(await ok('job_list', { running: true })).toMatchObject({ total: 0 })
    expect((await run('cat of-before')).output).toBe('kept\n')
    expect(await refused('box_move', { ...asked, confirm: 'w' })).toContain('already')
  })

  test('is what an image of a box is for', async () => {
    await makeSmallImage(home, 'small')
    await ok('box_create', { name: 'src', image: 'small' })
    await ok('file_write', { box: 'src', path: 'a', content: 'of the image\n' })
    const { image } = await ok('image_save', { box: 'src', name: 'saved' })
    await ok('box_create', { name: 'of-image', image })
    expect((await ok('file_read', { box: 'of-image', path: 'a' })).text).toBe('of the image\n')
    for (const box of ['src', 'of-image']) await ok('box_destroy', { box, confirm: box })
  })
})

describe('agents', () => {
  test('work side by side, are watched, answered and stopped, and their work comes back', async () => {
    const repo = await makeProject('image: base\n', { 'agent.sh': agent, 'kept.txt': 'as committed\n' })
    await using _ = repo
    await using other = await connect(overStdio(home.path, repo.path, '--agent-env', 'MODEL_KEY=sk-1234'))
    const call = async (name: string, args: Record<string, unknown>) => {
      const { text, data, isError } = await other.call(name, args)
      expect(isError, text).toBe(false)
      return data
    }
    const { sessions, failures } = await call('session_start', {
      agent: 'bash agent.sh',
      tasks: ['ask', 'hang'],
      repo: '.',
      name: 's',
      onEnd: 'destroy',
    })
    expect(failures).toEqual([])
    expect(sessions).toMatchObject([
      { box: 's-1', task: 'ask' },
      { box: 's-2', task: 'hang' },
    ])
    const [{ session: ask }, { session: hang }] = sessions
    await expect
      .poll(() => call('session_output', { session: ask }))
      .toMatchObject({
        state: 'running',
        outcome: null,
        output: 'a key of 7 characters\nOverwrite? [y/N] ',
        boxState: { name: 's-1', cost: 'nothing' },
      })
    expect(await refused('session_result', { session: ask })).toContain('has not ended')
    const answered = await call('session_answer', { session: ask, text: 'yes' })
    expect(answered.output).toContain('answer: yes')
    expect(await call('session_output', { session: 's-1', waitSeconds: 60, offset: 23 })).toMatchObject({
      state: 'ended',
      outcome: 'done',
      exitCode: 0,
      output: expect.stringMatching(/^Overwrite.*\nanswer: yes\n$/),
      boxState: null,
    })

    const whole = await call('session_result', { session: ask })
    expect(whole).toMatchObject({ nextOffset: null, patch: expect.stringContaining('+answer: yes') })
    const first = await call('session_result', { session: ask, maxBytes: 200 })
    expect(first.nextOffset).toBe(200)
    const rest = await call('session_result', { session: ask, offset: first.nextOffset })
    expect(first.patch + rest.patch).toBe(whole.patch)
    const { branch } = await call('session_branch', { session: ask })
    expect(await repo.git('show', `${branch}:answer.txt`)).toBe('answer: yes')

    expect((await call('session_list', { running: true })).sessions).toMatchObject([{ session: hang }])
    expect(await call('session_stop', { session: hang })).toMatchObject({ state: 'ended', outcome: 'stopped' })
    expect(await call('session_result', { session: hang })).toMatchObject({ commit: null, patch: '' })
    expect(await refused('session_answer', { session: hang, text: 'x' })).toContain('does not run')
    expect(await refused('session_output', { session: 's-3' })).toMatch(/Did you mean "s-[12]"/)
    expect((await call('session_list', {})).total).toBe(2)
  })

  test('that cannot be started leave no box; what was started beside them is told', async () => {
    const outside = { agent: 'true', tasks: ['a'], repo: '/etc' }
    expect(await refused('session_start', outside)).toContain('permission_denied')
    expect(await refused('session_start', { agent: 'true', tasks: ['a', 'b'], box: 'w' })).toContain('Several tasks')
    const some = await ok('session_start', { agent: 'true', tasks: ['a', 'b'], name: 'x', onEnd: 'destroy' })
    expect(some.sessions).toHaveLength(2)
    const taken = await ok('session_start', { agent: 'sleep', tasks: ['100'], box: 'w' })
    expect(taken.sessions).toMatchObject([{ box: 'w', state: 'running' }])
    await ok('session_stop', { session: taken.sessions[0].session })
    expect(await refused('session_start', { agent: 'true', tasks: ['a'], name: 'w' })).toContain('name_in_use')
    for (const { session } of some.sessions) await ok('session_output', { session, waitSeconds: 60 })
    await ok('box_resume', { box: 'w' })
  })
})

describe('the skill', () => {
  test('is one that the reference implementation takes', async () => {
    const program = join(root, 'node_modules/.bin/skills-ref')
    const { exitCode, all } = await execa(process.execPath, [program, 'validate', skillDir], {
      reject: false,
      all: true,
    })
    expect(exitCode, all).toBe(0)
  })

  test('does what it says: each command of it and of its references is run', async () => {
    const pages = await pagesOf()
    const project = join(dir, 'project')
    const bin = join(dir, 'bin')
    await mkdir(bin)
    await symlink(join(root, 'gibil'), join(bin, 'gibil'))
    await execa('git', ['init', '-q', project])
    await writeFile(join(project, 'README.md'), 'text\n')
    const env = { GIBIL_HOME: home.path, PATH: `${bin}:${process.env['PATH']}` }
    const tryPage = async ({ name, text, scripts }: (typeof pages)[number]): Promise<void> => {
      for (const script of scripts) {
        const options = { cwd: project, env, reject: false, all: true } as const
        const { exitCode, all } = await execa('bash', ['-euo', 'pipefail', '-c', script], options)
        expect(exitCode, `${name}:\n${script}\n${all}`).toBe(0)
      }
      const named = [...text.matchAll(/\]\((references\/[^)]+)\)/g)].map(([, page]) => page)
      expect(pages.map((page) => page.name)).toEqual(expect.arrayContaining(named))
    }
    await Promise.all(pages.map(tryPage))
    expect(await readFile(join(project, 'out-2.txt'), 'utf8')).toBe('shard 2\n')
    // What it names outside of scripts, it has shown in one; but for the start, which is the user's.
    const shown = new Set([...pages.flatMap(({ scripts }) => scripts.flatMap(verbsIn)), 'up', 'command'])
    expect(pages.flatMap(({ text }) => verbsIn(text)).filter((verb) => !shown.has(verb))).toEqual([])
    expect((await ok('box_list', {})).boxes.map((box: { name: string }) => box.name)).toEqual(['w'])
  })
})

describe('at /mcp of the daemon', () => {
  const at = async (token: string): Promise<StreamableHTTPClientTransport> =>
    new StreamableHTTPClientTransport(new URL('/mcp', (await apiOf(home)).url), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    })
  const tokenOf = async (name: string): Promise<string> => {
    const { exitCode, stdout, stderr } = await home.gibil(['token', 'create', name, '--json'])
    expect(exitCode, stderr).toBe(0)
    return JSON.parse(stdout).secret
  }

  test('a token has its own boxes, in both generations of the protocol, until it is revoked', async () => {
    await using remote = await connect(await at(await tokenOf('ci')))
    await using before = await connect(await at(await tokenOf('old')), 'before')
    expect((await remote.call('box_create', { name: 'w' })).data.box.name).toBe('w')
    const told: string[] = []
    const ran = await remote.call(
      'box_run',
      { box: 'w', command: 'sleep 6; echo mine' },
      { onprogress: () => told.push('x') },
    )
    expect(ran.data).toMatchObject({ exitCode: 0, output: 'mine\n' })
    expect(told.length).toBeGreaterThan(0)
    expect((await before.call('box_list', {})).data.boxes).toEqual([])
    expect((await before.call('box_show', { box: 'w@ci' })).text).toContain('box_not_found')
    await remote.call('box_destroy', { box: 'w', confirm: 'w' })
    await home.gibil(['token', 'revoke', 'ci'])
    await expect(remote.call('box_list', {})).rejects.toThrow(/401|unauthorized/i)
  })

  test('the machine of the daemon is not for its callers', async () => {
    await using remote = await connect(await at((await apiOf(home)).token))
    const { tools } = await remote.client.listTools()
    expect(tools.map(({ name }) => name)).not.toContain('file_upload')
    for (const repo of ['/etc', 'git@github.com:you/project']) {
      const { isError, text } = await remote.call('box_create', { repo })
      expect([isError, text]).toEqual([true, expect.stringContaining('https')])
    }
  })

  test('the inspector comes with a token; nobody comes without, with a wrong one, or from a page', async () => {
    const { url, token, call } = await apiOf(home)
    const target = [new URL('/mcp', url).href, '--transport', 'http']
    const listed = await inspectUrl(target, ['tools/list', '--header', `Authorization: Bearer ${token}`])
    expect(listed.raw).toContain('box_create')
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
    const status = async (options: object) => (await call('POST', '/mcp', { body, ...options })).status
    expect(await status({ token: null })).toBe(401)
    expect(await status({ token: 'gibil_wrong' })).toBe(401)
    expect(await status({ headers: { host: 'evil.example:80' } })).toBe(403)
    expect(await status({ headers: { origin: 'http://evil.example' } })).toBe(403)
    expect(await status({ body: 'x'.repeat(2_000_000) })).toBe(413)
    expect(await status({ body: '{' })).toBe(400)
  })
})

/** curl resolves names below localhost to this machine by itself. */
async function inBrowser(url: URL, token: string): Promise<string> {
  const header = `X-Gibil-Token: ${token}`
  const { stdout } = await execa('curl', ['-sS', '--noproxy', '*', '-H', header, `${url.origin}/`], {
    stripFinalNewline: false,
  })
  return stdout
}
