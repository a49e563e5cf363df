import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ErrorCode, errorTable } from '@gibil/sdk'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, apiOf } from './support/api.ts'
import { footprintOf } from './support/footprint.ts'
import { tried } from './support/full-form.ts'
import { type CliResult, makeHome, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'
import { makeProject } from './support/project.ts'
import { makePublicInternet, printed } from './support/public-internet.ts'

let home: TestHome
let api: Api
let dir: string
/** What the one box of these tests is to the host: no refusal may add to it. */
let footprint: string[]

beforeAll(async () => {
  home = await makeHome()
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  const created = await home.gibil(['create', '--name', 'taken', '--ttl', '3h'])
  expect(created.exitCode, created.stderr).toBe(0)
  api = await apiOf(home)
  footprint = await footprintOf(home.path)
})
afterAll(() => home?.[Symbol.asyncDispose]())
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-bad-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const gibil = (args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> =>
  home.gibil(args, { cwd: dir, env })

interface Shown {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
  readonly details?: Readonly<Record<string, unknown>>
}
const errorIn = ({ stdout, stderr }: CliResult): Shown => {
  expect(stdout, stderr).toContain('"error"')
  return JSON.parse(stdout).error
}
const must = async (args: readonly string[]): Promise<string> => {
  const result = await gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}

const exitOf = (verb: string | undefined, code: ErrorCode): number =>
  ['run', 'shell', 'attach'].includes(verb ?? '') ? 125 : errorTable[code].exit

/** The refusal of a command line: its code, exit status, message and hint, and nothing on the host that was not there. */
async function expectRefused(
  args: readonly string[],
  code: ErrorCode,
  message: RegExp,
  env: Record<string, string> = {},
): Promise<void> {
  const words = args[0] === 'image' ? 2 : 1
  const refused = await gibil([...args.slice(0, words), '--json', ...args.slice(words)], env)
  const shown = errorIn(refused)
  expect(shown.code).toBe(code)
  expect(shown.message).toMatch(message)
  expect(shown.hint).not.toBe('')
  expect(refused.exitCode).toBe(exitOf(args[0], code))
  expect(await footprintOf(home.path)).toEqual(footprint)
}

const label64 = 'a'.repeat(64)

describe('a create that cannot be', () => {
  it.each(
    tried<[ErrorCode, RegExp, string[]]>([
      ['image_not_found', /no image "nosuch"/, ['--name', 'new', '--image', 'nosuch']],
      ['image_not_found', /no image "\.\.\//, ['--name', 'new', '--image', '../../../etc/passwd']],
      ['name_in_use', /"taken" exists already/, ['--name', 'taken']],
      ['invalid_name', /"Not_A_Label"/, ['--name', 'Not_A_Label']],
      ['invalid_name', /aaaa/, ['--name', label64]],
      ['invalid_name', /"-x"/, ['--name', '-x']],
      ['invalid_name', /""/, ['--name=']],
      ['invalid_duration', /"0"/, ['--name', 'new', '--ttl', '0']],
      ['invalid_duration', /"-5m"/, ['--name', 'new', '--ttl', '-5m']],
      ['invalid_duration', /"13x"/, ['--name', 'new', '--ttl', '13x']],
      ['invalid_duration', /"0s"/, ['--name', 'new', '--idle', '0s']],
      ['lease_out_of_range', /too short for a container/, ['--name', 'new', '--ttl', '0.5s']],
      ['lease_out_of_range', /too long for a container/, ['--name', 'new', '--ttl', '2y']],
      ['invalid_size', /"gigantic"/, ['--name', 'new', '--size', 'gigantic']],
      ['invalid_size', /"0" is not a number of cpus/, ['--name', 'new', '--cpu', '0']],
      ['invalid_size', /"1X"/, ['--name', 'new', '--memory', '1X']],
      ['invalid_size', /memoryMib/, ['--name', 'new', '--memory', '999999T']],
      ['invalid_size', /diskMib/, ['--name', 'new', '--disk', '999999T']],
      ['invalid_size', /diskMib/, ['--name', 'new', '--disk', '1M']],
      ['unsupported_by_shape', /cannot make a vm/, ['--name', 'new', '--shape', 'vm', '--cpu', '200']],
      ['invalid_request', /"blob" is not a shape/, ['--name', 'new', '--shape', 'blob']],
      ['invalid_request', /"mars"/, ['--name', 'new', '--network', 'mars']],
      ['invalid_request', /"explode"/, ['--name', 'new', '--on-expire', 'explode']],
      ['invalid_request', /"never"/, ['--name', 'new', '--wait', 'never']],
      ['invalid_request', /"0" is not a number of boxes/, ['--name', 'new', '--fleet', '0']],
      ['invalid_request', /count/, ['--name', 'new', '--fleet', '501']],
      ['invalid_request', /"1BAD"/, ['--name', 'new', '--env', '1BAD=x']],
      ['invalid_request', /"A B"/, ['--name', 'new', '--env', 'A B=x']],
      ['invalid_request', /not set here/, ['--name', 'new', '--env', 'GIBIL_TEST_UNSET']],
      ['invalid_request', /cannot be read/, ['--name', 'new', '--env-file', '/nonexistent/env']],
      ['invalid_request', /needs --repo/, ['--name', 'new', '--branch', 'main']],
      ['invalid_repo', /it is empty/, ['--name', 'new', '--repo', '']],
      ['invalid_repo', /ftp/, ['--name', 'new', '--repo', 'ftp://example.com/x']],
      ['invalid_repo', /no directory/, ['--name', 'new', '--repo', '/nonexistent/project']],
      ['clone_failed', /could not be cloned/, ['--name', 'new', '--repo', 'https://127.0.0.1:1/you/project']],
      ['invalid_request', /--bogus/, ['--name', 'new', '--bogus']],
      ['invalid_request', /Too many arguments/, ['new']],
    ]),
  )('%s %s', async (code, message, flags) => {
    await expectRefused(['create', ...flags], code, message)
  })

  it('keeps a bad line of an env file from the box and from gibil itself', async () => {
    await writeFile(join(dir, 'bad.env'), 'GOOD=1\nnot a pair\n')
    await expectRefused(['create', '--env-file', 'bad.env'], 'invalid_request', /Line 2 of bad\.env/)
    // Node has an option of the same name, which would take the file for its own.
    await writeFile(join(dir, 'own.env'), 'GIBIL_HOME=/nonexistent\nNODE_OPTIONS=--bogus\n')
    expect(await must(['run', 'taken', '--env-file', 'own.env', 'echo $GIBIL_HOME'])).toBe('/nonexistent\n')
  })
})

describe('a verb that cannot be', () => {
  it.each(
    tried<[ErrorCode, RegExp, string[]]>([
      ['invalid_request', /Unknown command 'frobnicate'/, ['frobnicate']],
      ['invalid_request', /Did you mean one of list/, ['lst']],
      ['invalid_request', /Unknown option '--bogus'/, ['list', '--bogus']],
      ['invalid_request', /Run what/, ['run', 'taken']],
      ['invalid_request', /Destroy what/, ['destroy']],
      ['invalid_request', /Neither end/, ['cp', '/x', '/y']],
      ['invalid_request', /One end/, ['cp', 'taken:/x', 'taken:/y']],
      ['invalid_duration', /"0"/, ['extend', 'taken', '0']],
      ['invalid_duration', /"13x"/, ['extend', 'taken', '13x']],
      ['invalid_request', /-5m/, ['extend', 'taken', '-5m']],
      ['box_not_found', /no box "nosuch"/, ['show', 'nosuch']],
      ['box_not_found', /no box "nosuch"/, ['run', 'nosuch', 'true']],
      ['box_not_found', /no box "\.\.\/\.\.\/etc"/, ['show', '../../etc']],
      ['box_not_found', /no box/, ['logs', 'taken/../../etc']],
      ['job_not_found', /no job/, ['attach', 'taken', '../../files']],
      ['image_not_found', /no image/, ['image', 'rm', '../../gibil.db']],
      ['image_in_use', /uses the image/, ['image', 'rm', 'base']],
      ['file_not_found', /does not exist/, ['cp', 'taken:/nosuch', 'here']],
      ['file_not_found', /does not exist on this machine/, ['cp', 'nosuch', 'taken:there']],
      ['file_conflict', /\/etc/, ['cp', 'taken:/etc', '-']],
      ['command_not_found', /nosuchprogram/, ['run', 'taken', '--', 'nosuchprogram']],
      ['command_not_found', /\/nosuch/, ['run', 'taken', '--cwd', '/nosuch', '--', 'true']],
      ['user_not_found', /"nosuch"/, ['run', 'taken', '--user', 'nosuch', '--', 'true']],
      ['invalid_duration', /"0"/, ['run', 'taken', '--timeout', '0', '--', 'true']],
      ['invalid_request', /"1BAD"/, ['run', 'taken', '--env', '1BAD=x', '--', 'true']],
    ]),
  )('%s %s', async (code, message, args) => {
    await expectRefused(args, code, message)
  })
})

it.each<[ErrorCode, string[]]>([
  ['name_in_use', ['create', '--name', 'taken']],
  ['box_not_found', ['run', 'nosuch', 'true']],
  ['invalid_request', ['list', '--bogus']],
])('tells a person of %s on stderr, with what to do next', async (code, args) => {
  const { exitCode, stdout, stderr } = await gibil(args)
  expect({ exitCode, stdout }).toEqual({ exitCode: exitOf(args[0], code), stdout: '' })
  expect(stderr).toMatch(/^error: .+\n {2}next: .+\n$/)
})

describe('a config file', () => {
  afterEach(() => rm(join(home.path, 'config.yml'), { recursive: true, force: true }))
  it.each([
    ['that is no YAML', 'defaults: ttl: 5m\n', /config\.yml, line 1: /],
    ['with a key that is none', 'defaults:\n  ttl: 5m\n  bogus: 1\n', /config\.yml, line 3: .*bogus/],
    ['with a wrong value', 'defaults:\n  size: enormous\n', /config\.yml, line 2: .*size/],
  ])('%s is named with its line', async (_, text, message) => {
    await writeFile(join(home.path, 'config.yml'), text)
    await expectRefused(['create', '--name', 'new'], 'invalid_config', message)
  })
  it('that cannot be read is not passed over', async () => {
    await mkdir(join(home.path, 'config.yml'))
    await expectRefused(['create', '--name', 'new'], 'invalid_config', /cannot be read/)
  })
})

describe('a repository', () => {
  it('that does not exist, and a branch that does not, are told apart from a network that is down', async () => {
    await using internet = await makePublicInternet()
    await using project = await makeProject('tasks: []\n')
    const root = join(dir, 'served')
    await execa('git', ['clone', '--quiet', '--bare', project.path, join(root, 'you/project.git')])
    const server = join(import.meta.dirname, 'support/git-http-server.ts')
    await printed(internet.start([process.execPath, server, root, '80']), 'ready')
    const at = `http://${internet.address}/you`
    await expectRefused(['create', '--name', 'new', '--repo', `${at}/nosuch.git`], 'repo_not_found', /nosuch/)
    const branch = ['create', '--name', 'new', '--repo', `${at}/project.git`, '--branch', 'nosuch']
    await expectRefused(branch, 'repo_not_found', /nosuch/)
  })

  it('here whose branch does not exist is refused before a box is made', async () => {
    await using project = await makeProject('tasks: []\n')
    const args = ['create', '--name', 'new', '--repo', project.path, '--branch']
    await expectRefused([...args, 'nosuch'], 'repo_not_found', /no branch nosuch/)
    await expectRefused([...args, '--upload-pack=x'], 'repo_not_found', /no branch/)
  })

  it('whose task fails leaves its box to be looked at, with the log in the error', async () => {
    await using project = await makeProject(
      'tasks:\n  - name: first\n    run: echo fine\n  - name: build\n    run: echo the reason is here; exit 3\n',
    )
    const created = await gibil(['create', '--name', 'broken', '--repo', project.path, '--json'])
    try {
      const error = errorIn(created)
      expect(error).toMatchObject({ code: 'task_failed', details: { step: expect.stringContaining('build') } })
      expect(String(error.details?.['log'])).toContain('the reason is here')
      expect(created.exitCode).toBe(errorTable.task_failed.exit)
      const box = JSON.parse(await must(['show', 'broken', '--json']))
      expect(box).toMatchObject({ status: 'running', readiness: 'failed', failure: { code: 'task_failed' } })
      expect(await must(['logs', 'broken'])).toContain('the reason is here')
      expect(await must(['run', 'broken', 'git log --format=%s'])).toBe('Begin\n')
      await must(['destroy', 'broken'])
      expect(await tracesOf(box.id)).toEqual([])
    } finally {
      await gibil(['destroy', 'broken'])
    }
  })

  it('whose service never becomes ready says which, and what it printed', async () => {
    const config = `services:\n  web:\n    command: echo cannot bind; sleep 1000\n    ready: { port: 4000, timeout: 2s }\ntasks: [touch ran]\n`
    await using project = await makeProject(config)
    const args = ['create', '--name', 'unready', '--repo', project.path]
    const created = await gibil(args)
    try {
      expect(created.exitCode).toBe(errorTable.service_failed.exit)
      expect(created.stderr).toMatch(/error: .*web/)
      expect(created.stderr).toContain('| cannot bind')
      const box = JSON.parse(await must(['show', 'unready', '--json']))
      expect(box).toMatchObject({ status: 'running', readiness: 'failed', failure: { code: 'service_failed' } })
      expect((await gibil(['run', 'unready', 'ls ran'])).exitCode).not.toBe(0)
    } finally {
      await gibil(['destroy', 'unready'])
    }
  })
})

describe('a caller of the API', () => {
  it('without the right token gets nothing, by CLI and by HTTP', async () => {
    const remote = { GIBIL_URL: api.url.origin }
    await expectRefused(['list'], 'unauthorized', /no token/, remote)
    await expectRefused(['list'], 'unauthorized', /wrong/, { ...remote, GIBIL_TOKEN: 'wrong' })
    await expectRefused(['run', 'taken', 'true'], 'unauthorized', /wrong/, { ...remote, GIBIL_TOKEN: `${api.token}x` })
    for (const token of [null, 'wrong', api.token.slice(1), `${api.token}x`, api.token.toUpperCase()]) {
      const answer = await api.call('DELETE', '/v1/boxes/taken', { token })
      expect(answer).toMatchObject({ status: 401, code: 'unauthorized' })
      expect(answer.text).not.toContain(api.token)
    }
    const foreign = await api.call('GET', '/v1/boxes', { headers: { host: 'evil.example' } })
    expect(foreign).toMatchObject({ status: 403, code: 'forbidden' })
    const page = await api.call('GET', '/v1/boxes', { headers: { origin: 'http://evil.example' } })
    expect(page).toMatchObject({ status: 403, code: 'forbidden' })
  })

  it.each([
    ['POST', '/v1/boxes', '{"name": "new"', 'invalid_request'],
    ['POST', '/v1/boxes', '{"name": "new", "bogus": 1}', 'invalid_request'],
    ['POST', '/v1/boxes', '{"name": "NEW"}', 'invalid_name'],
    ['POST', '/v1/boxes', '{"name": "new", "ttl": 0}', 'invalid_duration'],
    ['POST', '/v1/boxes', '{"name": "new", "ttl": -5}', 'invalid_duration'],
    ['POST', '/v1/boxes', '{"name": "new", "size": "gigantic"}', 'invalid_size'],
    ['POST', '/v1/boxes', '{"name": "new", "diskMib": 1e15}', 'invalid_size'],
    ['POST', '/v1/boxes', '{"name": "new", "env": {"A=B": "x"}}', 'invalid_request'],
    ['POST', '/v1/boxes', '{"name": "new", "env": {"A": "x\\u0000y"}}', 'invalid_request'],
    ['POST', '/v1/boxes/taken/run', '{"command": "true", "env": {"A=B": "x"}}', 'invalid_request'],
    ['POST', '/v1/boxes/taken/run', '{"command": "true", "env": {"A": "x\\u0000y"}}', 'invalid_request'],
    ['POST', '/v1/boxes/taken/run', '{"argv": ["true", "x\\u0000y"]}', 'invalid_request'],
    ['POST', '/v1/boxes/taken/run', '{"argv": []}', 'invalid_request'],
    ['POST', '/v1/boxes/taken/run', '{}', 'invalid_request'],
    ['POST', '/v1/boxes/taken/files/mkdir', '{"path": "x\\u0000y"}', 'invalid_path'],
    ['POST', '/v1/boxes/taken/files/chmod', '{"path": "/", "mode": 99999}', 'invalid_request'],
    ['GET', '/v1/boxes/taken/files?path=%00', undefined, 'invalid_path'],
    ['GET', '/v1/boxes/..%2f..%2fetc/files?path=passwd', undefined, 'box_not_found'],
    ['GET', '/v1/boxes/../../etc/passwd', undefined, 'not_found'],
    ['GET', '/v1/boxes/taken/jobs/..%2f..%2fconfig', undefined, 'job_not_found'],
    ['PATCH', '/v1/boxes', undefined, 'not_found'],
  ] as const)('%s %s %s: %s', async (method, path, body, code) => {
    const answer = await api.call(method, path, body === undefined ? {} : { body })
    expect(answer).toMatchObject({ code, status: errorTable[code].status })
    expect(await footprintOf(home.path)).toEqual(footprint)
  })

  it.each(['announced', 'not announced'])(
    'with a gigabyte where a kilobyte is expected, %s, is refused early',
    async (how) => {
      const { pid } = JSON.parse(await must(['version', '--json'])).daemon
      const before = await residentMib(pid)
      const { status, code, sent } = await sendEndlessly(api, '/v1/boxes', how === 'announced' ? 1024 ** 3 : undefined)
      expect({ status, code }).toEqual({ status: 413, code: 'payload_too_large' })
      expect(sent).toBeLessThan(32 * 1024 * 1024)
      expect((await residentMib(pid)) - before).toBeLessThan(64)
      expect((await api.call('GET', '/v1/health')).status).toBe(200)
    },
  )
})

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024
}

/** Sends for as long as the daemon takes it, a gigabyte at most. */
async function sendEndlessly(
  to: Api,
  path: string,
  announced: number | undefined,
): Promise<{ status: number; code: string; sent: number }> {
  const most = 1024 ** 3
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let sent = 0
  let answered = false
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: to.url.hostname,
      port: to.url.port,
      method: 'POST',
      path,
      headers: {
        authorization: `Bearer ${to.token}`,
        'content-type': 'application/json',
        ...(announced === undefined ? {} : { 'content-length': announced }),
      },
    })
    // Once it has answered, the daemon may break the connection under our writes.
    request.on('error', (error) => answered || reject(error))
    request.on('response', async (response) => {
      answered = true
      const parts = await response.toArray()
      const { error } = JSON.parse(Buffer.concat(parts).toString('utf8'))
      request.destroy()
      resolve({ status: response.statusCode ?? 0, code: error.code, sent })
    })
    const write = (): void => {
      while (!answered && sent < most) {
        sent += chunk.length
        if (!request.write(chunk)) {
          request.once('drain', write)
          return
        }
      }
      if (!answered) request.end()
    }
    write()
  })
}

describe('a path', () => {
  it('with .. stays in the box, as does a link to a file of the host', async () => {
    const secret = join(dir, 'secret-of-the-host')
    await writeFile(secret, 'of the host')
    const up = '../'.repeat(20)
    const read = (path: string) => api.call('GET', `/v1/boxes/taken/files?path=${encodeURIComponent(path)}`)
    expect((await read(`${up}etc/hostname`)).text).toBe('taken\n')
    expect(await read(`${up}${secret}`)).toMatchObject({ status: 404, code: 'file_not_found' })

    await must(['run', 'taken', '--user', 'root', 'echo "root:of-the-box" > /etc/shadow'])
    await must([
      'run',
      'taken',
      `ln -sf /etc/shadow shadow; ln -sf ${secret} secret; ln -sf /proc/1/root${secret} by-proc; ln -sf ${up}${secret} by-up`,
    ])
    for (const path of ['shadow', '/etc/shadow', '/proc/1/root/etc/shadow', '/proc/self/root/etc/shadow']) {
      const { status, text } = await read(path)
      if (status === 200) expect(text, path).toBe('root:of-the-box\n')
      else expect(text, path).not.toContain('root:')
    }
    for (const path of ['secret', 'by-proc', 'by-up']) {
      expect((await read(path)).text, path).not.toContain('of the host')
      const written = await api.call('PUT', `/v1/boxes/taken/files?path=${path}`, { body: Buffer.from('overwritten') })
      expect(written.status, written.text).toBeLessThan(500)
    }
    expect(await readFile(secret, 'utf8')).toBe('of the host')
  })

  it('of an uploaded tree may not leave it', async () => {
    const put = async (...tar: string[]) => {
      const { stdout } = await execa('tar', ['--create', '--file=-', '-P', ...tar], { cwd: dir, encoding: 'buffer' })
      return api.call('PUT', '/v1/boxes/taken/tar?path=/tmp/tree', { body: stdout })
    }
    await writeFile(join(dir, 'file'), 'x')
    expect((await put('--transform=s,file,../../escaped,', 'file')).code).toBe('invalid_path')
    await symlink('/tmp', join(dir, 'link'))
    const through = await put('--transform=s,file,link/through-the-link,', 'link', 'file')
    expect(through.status, through.text).toBeLessThan(500)
    const found = await must([
      'run',
      'taken',
      'find / -xdev \\( -name escaped -o -name through-the-link \\) -not -path "/tmp/tree/*" 2>/dev/null || true',
    ])
    expect(found).toBe('')
    await must(['run', 'taken', 'rm -rf /tmp/tree'])
  })

  it('with a hostile name is copied as it is, or left out with a reason, and never leaves the target', async () => {
    const names = [
      '-rf',
      'new\nline',
      '\u001b[31mred',
      ' space ',
      '$(touch pwned)',
      '`id`',
      '..hidden',
      'ünïcödé',
      "quo'te",
    ]
    await mkdir(join(dir, 'names'))
    for (const name of names) await writeFile(join(dir, 'names', name), name)
    await must(['cp', 'names', 'taken:names'])
    await must(['cp', 'taken:names', 'back'])
    expect((await readdir(join(dir, 'back'))).toSorted()).toEqual(names.toSorted())
    for (const name of names) expect(await readFile(join(dir, 'back', name), 'utf8')).toBe(name)

    await must(['cp', 'names/-rf', 'taken:-rf'])
    expect(await must(['cp', 'taken:names/new\nline', '-'])).toBe('new\nline')
    const absent = await gibil(['cp', 'taken:\u001b[31mred', 'x'])
    expect(absent.exitCode).toBe(errorTable.file_not_found.exit)
    expect(absent.stderr).not.toContain('\u001b')
    expect(await readdir(dir)).toEqual(['back', 'names'])
  })

  it('through a link in the target is not followed', async () => {
    const outside = join(dir, 'outside')
    await mkdir(outside)
    await mkdir(join(dir, 'target'))
    await symlink(outside, join(dir, 'target', 'sub'))
    await must(['run', 'taken', 'mkdir -p linked/sub && echo planted > linked/sub/file'])
    await gibil(['cp', 'taken:linked/.', 'target'])
    expect(await readdir(outside)).toEqual([])

    await must(['run', 'taken', `mkdir -p evil && ln -sfn ${outside} evil/dir && ln -sf ${outside}/planted evil/file`])
    const copied = await gibil(['cp', 'taken:evil', 'evil'])
    expect(copied.stderr).toContain('left out: dir')
    await gibil(['cp', 'taken:evil/file', 'evil/file'])
    expect(await readdir(outside)).toEqual([])
  })
})
