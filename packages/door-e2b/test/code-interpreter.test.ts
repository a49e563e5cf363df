import { once } from 'node:events'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Execution, Sandbox, TimeoutError } from '@e2b/code-interpreter'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import { makeHome, root, type TestHome } from '../../../test/support/home.ts'
import { shape } from './shape.ts'

// The unmodified SDK of E2B's code interpreter, on a container, or with GIBIL_E2B_SHAPE=microvm on a microVM. The image with pandas and matplotlib
// takes minutes to build: the short form has all else of it, on top of base.
let home: TestHome
let connection: { apiKey: string; apiUrl: string; sandboxUrl: string }
let sandbox: Sandbox

async function buildSmallImage(): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), 'gibil-code-interpreter-'))
  for (const name of ['e2b', 'code-interpreter'])
    await cp(join(root, 'images', name), join(context, name), { recursive: true })
  const lines = [
    'FROM base',
    'USER root',
    'RUN apt-get update && apt-get install -y --no-install-recommends python3-ipykernel',
    'COPY code-interpreter/files /',
    'COPY e2b/setup /setups/first',
    'COPY code-interpreter/setup /setups/second',
    'RUN /setups/first && /setups/second',
    'USER agent',
  ]
  await writeFile(join(context, 'Dockerfile'), lines.join('\n'))
  const built = await home.gibil(['image', 'build', context, '--name', 'code-interpreter'])
  await rm(context, { recursive: true })
  expect(built.exitCode, built.stderr).toBe(0)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

beforeAll(async () => {
  home = await makeHome(full ? 'code-interpreter' : 'base')
  await home.startDaemon()
  const setup = await home.gibil(['e2b', 'setup', '--no-build', '--shape', shape, '--port', String(await freePort())])
  expect(setup.exitCode, setup.stderr).toBe(0)
  const variable = (name: string): string => new RegExp(`^export ${name}=(.*)$`, 'm').exec(setup.stdout)?.[1] ?? ''
  connection = {
    apiKey: variable('E2B_API_KEY'),
    apiUrl: variable('E2B_API_URL'),
    sandboxUrl: variable('E2B_SANDBOX_URL'),
  }
  if (!full) {
    await expect(Sandbox.create(connection)).rejects.toThrow(/404.*gibil image build code-interpreter/)
    await buildSmallImage()
  }
  sandbox = await Sandbox.create({ ...connection, envs: { GREETING: 'hello' } })
})
afterAll(() => home[Symbol.asyncDispose]())

/** One grey pixel. */
const tinyPng = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=='

const printed = ({ logs }: Execution): string => logs.stdout.join('')

describe('cells of Python', () => {
  test('keep what they make, and give the value of their last line', async () => {
    const first = await sandbox.runCode('x = 1; x += 1; x')
    expect(first).toMatchObject({ text: '2', executionCount: 1, error: undefined })
    const second = await sandbox.runCode('x += 40\nx')
    expect(second).toMatchObject({ text: '42', executionCount: 2 })
    expect(second.results[0]?.isMainResult).toBe(true)
    expect(printed(await sandbox.runCode('!pwd; whoami'))).toBe('/home/user\r\nroot\r\n')
  })

  test('stream what they print, each stream in order, while they run', async () => {
    const heard: string[] = []
    const begun = Promise.withResolvers<void>()
    const running = sandbox.runCode(
      `
import os, sys, time
print('first', flush=True)
while not os.path.exists('/tmp/go'): time.sleep(0.05)
print('bad', file=sys.stderr)
print('second')
`,
      {
        onStdout: ({ line, error }) => {
          heard.push(`${error} ${line}`)
          begun.resolve()
        },
        onStderr: ({ line, error }) => void heard.push(`${error} ${line}`),
      },
    )
    await begun.promise
    expect(heard).toEqual(['false first\n'])
    await sandbox.files.write('/tmp/go', '')
    const { logs } = await running
    expect(logs).toEqual({ stdout: ['first\n', 'second\n'], stderr: ['bad\n'] })
    expect(heard).toHaveLength(3)
  })

  test('tell of errors with their traceback, and go on', async () => {
    const seen: string[] = []
    const { error } = await sandbox.runCode('def broken():\n    return 1 / 0\nbroken()', {
      onError: ({ name }) => void seen.push(name),
    })
    expect(error).toMatchObject({ name: 'ZeroDivisionError', value: 'division by zero' })
    expect(error?.traceback).toMatch(/line 3[\s\S]*broken\(\)[\s\S]*line 2[\s\S]*1 \/ 0/)
    expect(error?.traceback).not.toContain('\u001b')
    expect(seen).toEqual(['ZeroDivisionError'])
    expect((await sandbox.runCode('input()')).error?.name).toBe('StdinNotImplementedError')
    expect((await sandbox.runCode('x')).text).toBe('42')
  })

  test('give results in every form', async () => {
    const { results } = await sandbox.runCode(`
from IPython.display import display, HTML, Markdown, SVG, Latex, JSON, Image, Javascript
import base64
display(HTML('<b>'), Markdown('# m'), Latex('$l$'), JSON({'j': 1}), Javascript('1'))
class Own:
    def _repr_mimebundle_(self, **_): return {'text/plain': 'own', 'image/jpeg': 'anBn', 'application/pdf': 'cGRm', 'application/x-own': 'more'}
    def _repr_svg_(self): return '<svg/>'
    def _repr_e2b_chart_(self): return {'type': 'unknown', 'title': 't', 'elements': []}
    def _repr_e2b_data_(self): return {'a': [1]}
display(Own())
display(Image(data=base64.b64decode('${tinyPng}')))
{'list': [1, float('nan')], 'text': "it's"}
`)
    expect(results.slice(0, 5).map((one) => one.formats())).toEqual([
      ['html'],
      ['markdown'],
      ['latex'],
      ['json'],
      ['javascript'],
    ])
    const [, , , , , own, image, main] = results
    expect(own).toMatchObject({ jpeg: 'anBn', pdf: 'cGRm', svg: '<svg/>', data: { a: [1] }, chart: { title: 't' } })
    expect(own?.raw['extra']).toEqual({ 'application/x-own': 'more' })
    expect(image?.png?.trim()).toBe(tinyPng)
    expect(main).toMatchObject({ isMainResult: true, json: { list: [1, null], text: "it's" } })
  })

  test('have the environment of the sandbox, and their own', async () => {
    const code = 'import os; (os.getenv("GREETING"), os.getenv("OWN"), os.getenv("E2B_SANDBOX_ID"))'
    const own = await sandbox.runCode(code, { envs: { OWN: "it's", GREETING: 'bye' } })
    expect(own.text).toBe(`('bye', "it's", '${sandbox.sandboxId}')`)
    expect((await sandbox.runCode(code)).text).toBe(`('hello', None, '${sandbox.sandboxId}')`)
  })

  test('are interrupted when nobody waits for them any more', async () => {
    const endless = sandbox.runCode('import time\nwhile True: time.sleep(1)', { timeoutMs: 1000 })
    await expect(endless).rejects.toThrow(TimeoutError)
    expect((await sandbox.runCode('x')).text).toBe('42')
  })
})

describe('contexts', () => {
  test('are apart, restarted and removed', async () => {
    const context = await sandbox.createCodeContext({ cwd: '/tmp' })
    expect(context).toMatchObject({ language: 'python', cwd: '/tmp' })
    expect((await sandbox.runCode('x', { context })).error).toMatchObject({ name: 'NameError' })
    expect(printed(await sandbox.runCode('import os; y = 5; print(os.getcwd())', { context }))).toBe('/tmp\n')
    await sandbox.restartCodeContext(context)
    const { error } = await sandbox.runCode('y', { context })
    expect(error).toMatchObject({ name: 'NameError', value: "name 'y' is not defined" })
    expect(await sandbox.listCodeContexts()).toContainEqual(context)
    await sandbox.removeCodeContext(context.id)
    const left = await sandbox.listCodeContexts()
    expect(left.map(({ language }) => language)).toEqual(['python', 'javascript'])
    await expect(sandbox.runCode('1', { context })).rejects.toThrow(/not found/)
    await expect(sandbox.createCodeContext({ language: 'cobol' })).rejects.toThrow(/400/)
  })

  test('survive a kernel that ends', async () => {
    const context = await sandbox.createCodeContext()
    const { error } = await sandbox.runCode('import os; os._exit(1)', { context })
    expect(error?.name).toBe('KernelDied')
    expect((await sandbox.runCode('1 + 1', { context })).text).toBe('2')
    await sandbox.removeCodeContext(context)
  })
})

describe('other languages', () => {
  test('JavaScript: modules, await, output, errors, interrupts', async () => {
    const js = (code: string, options = {}) => sandbox.runCode(code, { language: 'js', ...options })
    const first = await js('import { basename } from "node:path"\nconst a = await Promise.resolve("/b/c")\nbasename(a)')
    expect(first).toMatchObject({ text: 'c', executionCount: 1 })
    const { logs } = await js(
      'console.log("out"); console.error("err"); const a = process.env.GREETING; console.log(a)',
    )
    expect([logs.stdout.join(''), logs.stderr]).toEqual(['out\nhello\n', ['err\n']])
    expect((await js('null.x')).error).toMatchObject({
      name: 'TypeError',
      traceback: expect.stringContaining('<anonymous>:1:6'),
    })
    await expect(js('while (true);', { timeoutMs: 500 })).rejects.toThrow(TimeoutError)
    expect((await js('a + process.cwd()')).text).toBe('hello/home/user')
    expect((await js('process.env.OWN', { envs: { OWN: 'own' } })).text).toBe('own')
  })

  test('TypeScript and bash', async () => {
    const typed = await sandbox.runCode('const message: string = "typed"; console.log(message)', { language: 'ts' })
    expect(printed(typed)).toBe('typed\n')
    const bash = (code: string, envs = {}) => sandbox.runCode(code, { language: 'bash', envs })
    expect(printed(await bash('cd /tmp; name=value; echo $GREETING $OWN', { OWN: "it's" }))).toBe("hello it's\n")
    expect(printed(await bash('echo $name $PWD; echo $OWN'))).toBe('value /tmp\n\n')
    expect((await bash('false')).error).toMatchObject({ name: 'ExitStatus', value: '1' })
  })
})

test('a code interpreter that was killed, or whose sandbox was stopped, is there again', async () => {
  await sandbox.commands.run('kill -9 $(pgrep -f [c]ode_interpreter.server)', { user: 'root' })
  await expect.poll(() => sandbox.runCode('7').then(({ text }) => text, String)).toBe('7')
  await sandbox.pause({ keepMemory: false })
  const again = await Sandbox.connect(sandbox.sandboxId, connection)
  expect((await again.runCode('import os; os.getenv("GREETING")')).text).toBe('hello')
})

test('who does not know its access token runs nothing', async () => {
  const headers = { 'e2b-sandbox-id': sandbox.sandboxId, 'e2b-sandbox-port': '49999' }
  const run = async (more: Record<string, string>): Promise<number> => {
    const body = JSON.stringify({ code: '1' })
    const url = `${connection.sandboxUrl}/execute?source=x`
    const answer = await fetch(url, { method: 'POST', body, headers: { ...headers, ...more } })
    await answer.arrayBuffer()
    return answer.status
  }
  expect(await run({})).toBe(401)
  expect(await run({ 'x-access-token': 'wrong' })).toBe(401)
  expect(await fetch(`${connection.sandboxUrl}/health`, { headers })).toMatchObject({ status: 200 })
})

test('the end of a sandbox is told to who runs code in it', async () => {
  const other = await Sandbox.create(connection)
  const begun = Promise.withResolvers<void>()
  const code = 'import time; print("begun", flush=True); time.sleep(300)'
  const running = other
    .runCode(code, { onStdout: () => begun.resolve(), timeoutMs: 0 })
    .catch((error: unknown) => error)
  await begun.promise
  await other.kill()
  expect(await running).toBeInstanceOf(TimeoutError)
})

describe.runIf(full)('pandas and matplotlib', () => {
  test('give tables as data', async () => {
    const { results } = await sandbox.runCode(`
import pandas as pd
pd.DataFrame({'a': [1, None], 'day': pd.to_datetime(['2024-01-02', None]), 'word': ['x', 'y']})
`)
    expect(results[0]?.data).toEqual({ a: [1, null], day: ['2024-01-02T00:00:00', null], word: ['x', 'y'] })
    expect(results[0]?.html).toContain('<table')
  })

  const chart = async (code: string): Promise<Record<string, unknown>> => {
    const { results, error } = await sandbox.runCode(`import matplotlib.pyplot as plt\n${code}\nplt.show()`)
    expect(error).toBeUndefined()
    const png = Buffer.from(results[0]?.png ?? '', 'base64')
    // Its signature, and a width and height that are those of a picture.
    expect(png.subarray(0, 8).toString('latin1')).toBe('\u0089PNG\r\n\u001a\n')
    expect(png.readUInt32BE(16)).toBeGreaterThan(100)
    return { ...results[0]?.chart }
  }

  test('give lines and dots', async () => {
    const lines = await chart(`
import datetime
days = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
plt.plot(days, [1, 10, 100], label='growth'); plt.plot(days, [2, 2, 2])
plt.axhline(5); plt.yscale('log'); plt.xlabel('Time [d]'); plt.ylabel('Size (kB)'); plt.title('T'); plt.grid(True)
`)
    expect(lines).toMatchObject({
      type: 'line',
      title: 'T',
      x_unit: 'd',
      y_unit: 'kB',
      x_scale: 'datetime',
      y_scale: 'log',
    })
    expect(lines['elements']).toEqual([
      {
        label: 'growth',
        points: [
          ['2024-01-01', 1],
          ['2024-01-02', 10],
          ['2024-01-03', 100],
        ],
      },
      {
        label: 'Line 1',
        points: [
          ['2024-01-01', 2],
          ['2024-01-02', 2],
          ['2024-01-03', 2],
        ],
      },
    ])
    const dots = await chart(`plt.scatter([1, 2], [3, 4], label='d'); plt.xlabel('X')`)
    expect(dots).toMatchObject({ type: 'scatter', title: null, x_label: 'X', y_label: null, x_scale: 'linear' })
    expect(dots['elements']).toEqual([
      {
        label: 'd',
        points: [
          [1, 3],
          [2, 4],
        ],
      },
    ])
    expect(await chart(`plt.plot([1, 2], ['A', 'B'])`)).toMatchObject({
      y_scale: 'categorical',
      y_tick_labels: ['A', 'B'],
    })
  })

  test('give bars, pies, boxes', async () => {
    const bars = await chart(`
plt.barh(['a', 'b'], [1, 2], label='g'); plt.xlabel('N')
`)
    expect(bars).toMatchObject({ type: 'bar', y_label: 'N', x_label: null })
    expect(bars['elements']).toEqual([
      { label: 'a', group: 'g', value: 1 },
      { label: 'b', group: 'g', value: 2 },
    ])
    expect((await chart(`plt.pie([90, 10], labels=['no', 'yes'], autopct='%d')`))['elements']).toEqual([
      { label: 'no', angle: 324, radius: 1 },
      { label: 'yes', angle: 36, radius: 1 },
    ])
    for (const options of ['', ', patch_artist=True', ', vert=False']) {
      const boxes = await chart(
        `plt.boxplot([[85, 90, 78, 92, 88], [95, 89, 76, 91, 84, 87]], labels=['A', 'B']${options})`,
      )
      expect(boxes).toMatchObject({ type: 'box_and_whisker' })
      expect(boxes['elements']).toEqual([
        { label: 'A', min: 78, first_quartile: 85, median: 88, third_quartile: 90, max: 92, outliers: [] },
        { label: 'B', min: 84, first_quartile: 84.75, median: 88, third_quartile: 90.5, max: 95, outliers: [76] },
      ])
    }
  })

  test('give several in one, and what is none of these', async () => {
    const all = await chart(`
figure, (one, two) = plt.subplots(1, 2); figure.suptitle('S')
one.plot([1, 2]); two.imshow([[1, 2]])
`)
    expect(all).toMatchObject({ type: 'superchart', title: 'S', elements: [{ type: 'line' }, { type: 'unknown' }] })
    const { results } = await sandbox.runCode(`
from PIL import Image
Image.new('RGB', (20, 20)).save('/tmp/saved.png')
`)
    expect(results[0]?.png).toBeDefined()
  })
})
