import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeHome, type TestHome } from './support/home.ts'
import { makePublicInternet, type PublicInternet, printed } from './support/public-internet.ts'

const server = `require('node:http').createServer((q, s) => s.end('from outside')).listen(80, () => console.log('ready'))`

let home: TestHome
let internet: PublicInternet
let context: string

beforeAll(async () => {
  home = await makeHome()
  await home.startDaemon()
  internet = await makePublicInternet()
  await printed(internet.start([process.execPath, '-e', server]), 'ready')
  context = await mkdtemp(join(tmpdir(), 'gibil-context-'))
})
afterAll(async () => {
  await rm(context, { recursive: true, force: true })
  await internet?.[Symbol.asyncDispose]()
  await home?.[Symbol.asyncDispose]()
})

describe('an image built from a Dockerfile', () => {
  it('is built as root with the network of a box, is cached, and makes boxes', async () => {
    const hostOnly = await listenOnHost()
    try {
      await writeFile(join(context, 'note.txt'), 'copied')
      await writeFile(
        join(context, 'Dockerfile'),
        `FROM base
RUN id -u > /who && curl -fsS http://${internet.address}/ > /outside
RUN curl -sS --max-time 5 http://${internet.hostAddress}:${hostOnly.port}/ > /inside || echo refused > /inside
COPY --chown=agent note.txt /srv/
ENV GREETING=hello
`,
      )
      const built = await home.gibil(['image', 'build', context, '--name', 'mine'])
      expect(built.exitCode, built.stderr).toBe(0)
    } finally {
      await hostOnly[Symbol.asyncDispose]()
    }
    const again = await home.gibil(['image', 'build', context, '--name', 'mine', '--json'])
    expect(again.exitCode, again.stderr).toBe(0)

    await home.gibil(['create', '--name', 'made', '--image', 'mine'])
    const seen = await home.gibil([
      'run',
      'made',
      'cat /who /outside; echo; cat /inside /srv/note.txt; echo; echo $GREETING; stat -c %U /srv/note.txt',
    ])
    expect(seen.stdout).toBe('0\nfrom outside\nrefused\ncopied\nhello\nagent\n')

    expect((await home.gibil(['image', 'rm', 'mine'])).exitCode).toBe(4)
    await home.gibil(['destroy', 'made'])
    expect((await home.gibil(['image', 'rm', 'mine'])).exitCode).toBe(0)
    expect((await readdir('/run/netns').catch(() => [])).filter((name) => name.includes('.build-'))).toEqual([])
  })

  it('names the line and the last words of a step that fails', async () => {
    await writeFile(join(context, 'Dockerfile'), 'FROM base\nRUN echo almost\nRUN echo so close >&2 && exit 9\n')
    const built = await home.gibil(['image', 'build', context, '--name', 'broken', '--json'])
    expect(built.exitCode).toBe(1)
    expect(JSON.parse(built.stdout).error).toMatchObject({
      code: 'image_build_failed',
      message: expect.stringMatching(/Dockerfile:3:.*exit code 9.*so close/s),
    })
    expect((await home.gibil(['image', 'list'])).stdout).not.toContain('broken')
  })
})

/** A service of this host that no box and no build step may reach. */
async function listenOnHost(): Promise<AsyncDisposable & { readonly port: number }> {
  const listener = createServer((_, response) => response.end('of the host'))
  await new Promise<void>((done) => listener.listen(0, '0.0.0.0', done))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP')
  return {
    port: address.port,
    [Symbol.asyncDispose]: () => new Promise((done) => listener.close(() => done())),
  }
}
