import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { makeProject, type Project } from './support/project.ts'

/** An agent of others, unmodified (MIT). */
const agent = '@mariozechner/pi-coding-agent@0.73.1'
const secret = 'sk-test-77c0ffee'

/** Speaks as much of OpenAI's chat completions as the agent needs: it has a file written, and is content when that was done. */
const model = `
const http = require('node:http')
http.createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  if (request.headers.authorization !== 'Bearer ${secret}') return response.writeHead(401).end()
  const { messages } = JSON.parse(body)
  const done = messages.some(({ role }) => role === 'tool')
  const call = { path: 'hello.txt', content: 'written by an agent\\n' }
  const delta = done
    ? { role: 'assistant', content: 'The file is written.' }
    : { role: 'assistant', tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'write', arguments: JSON.stringify(call) } }] }
  const part = (choice) => 'data: ' + JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'fake', choices: [{ index: 0, ...choice }] }) + '\\n\\n'
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(part({ delta, finish_reason: null }) + part({ delta: {}, finish_reason: done ? 'stop' : 'tool_calls' }) + 'data: [DONE]\\n\\n')
}).listen(8123, '127.0.0.1', () => console.log('listening'))
`
const models = {
  providers: {
    fake: {
      baseUrl: 'http://127.0.0.1:8123/v1',
      api: 'openai-completions',
      apiKey: 'FAKE_MODEL_KEY',
      models: [{ id: 'fake' }],
    },
  },
}

let home: TestHome
let project: Project
let dir: string

// It installs 200 MB from npm.
describe.skipIf(!full)('a session with a real agent and a model that is not', () => {
  beforeAll(async () => {
    home = await makeHome()
    project = await makeProject('image: base\n')
    dir = await mkdtemp(join(tmpdir(), 'gibil-agent-'))
    expect((await home.startDaemon()).exitCode).toBe(0)
    await execa('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', join(dir, 'pi'), agent])
    await writeFile(join(dir, 'model.cjs'), model)
    await writeFile(join(dir, 'models.json'), JSON.stringify(models))
  }, 600_000)
  afterAll(async () => {
    await rm(dir, { recursive: true, force: true })
    await project?.[Symbol.asyncDispose]()
    await home?.[Symbol.asyncDispose]()
  })

  it('brings back the file that the agent wrote', { timeout: 600_000 }, async () => {
    const created = await home.gibil([
      'create',
      '--name',
      'pi',
      '--repo',
      project.path,
      '--disk',
      '2G',
      '--network',
      'none',
    ])
    expect(created.exitCode, created.stderr).toBe(0)
    for (const [from, to] of [
      ['pi', '/home/agent/pi'],
      ['model.cjs', '/home/agent/model.cjs'],
      ['models.json', '/home/agent/.pi/agent/models.json'],
    ]) {
      const copied = await home.gibil(['cp', join(dir, from ?? ''), `pi:${to}`])
      expect(copied.exitCode, copied.stderr).toBe(0)
    }
    const served = (await home.gibil(['run', 'pi', '--detach', '--', 'node', '/home/agent/model.cjs'])).stdout.trim()
    await expect.poll(async () => (await home.gibil(['logs', 'pi', served])).stdout).toContain('listening')

    const line =
      'node ~/pi/node_modules/@mariozechner/pi-coding-agent/dist/cli.js --offline --no-session --provider fake --model fake -p'
    const args = [
      'session',
      'start',
      '--box',
      'pi',
      '--agent',
      line,
      '--env',
      'FAKE_MODEL_KEY',
      '--result-branch',
      'by-agent',
      '--timeout',
      '3m',
      'Write hello.txt.',
    ]
    const ran = await home.gibil(args, { cwd: project.path, env: { FAKE_MODEL_KEY: secret } })
    expect(ran.stdout + ran.stderr).toContain('The file is written.')
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(await project.git('show', 'by-agent:hello.txt')).toBe('written by an agent')
  })
})
