import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import type { HostKit } from '@gibil/hostkit-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRuncRunner, type ImageStore } from '../src/index.ts'
import { createTestStore, failureOf, makeRootfs, run, startHostkit, type TestStore, tarOf } from './tools.ts'

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)('building from a Dockerfile', () => {
  let folder: string
  let test: TestStore
  let store: ImageStore
  let hostkit: HostKit
  let contexts = 0

  const context = async (files: Readonly<Record<string, string>>): Promise<string> => {
    contexts += 1
    const root = join(folder, `context-${contexts}`)
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, name)), { recursive: true })
      await writeFile(join(root, name), content)
    }
    return root
  }
  interface BuildOptions {
    readonly name?: string
    readonly args?: Record<string, string>
    readonly noCache?: boolean
    readonly dockerfile?: string
    readonly signal?: AbortSignal
  }
  const build = async (root: string, { name = 'app', signal, ...more }: BuildOptions = {}) => {
    const messages: string[] = []
    const image = await store.build({ name, ...more }, await tarOf(root), {
      signal,
      onProgress: ({ message }) => message !== undefined && messages.push(message),
    })
    return { image, messages }
  }
  /** What a shell command prints in an image. */
  const inImage = async (name: string, script: string, from = store): Promise<string[]> => {
    const { layers, env, workdir } = await from.resolve(name)
    const step = await mkdtemp(join(folder, 'step-'))
    const lines: string[] = []
    const { exitCode } = await createRuncRunner({
      env: process.env,
      root: join(test.home, 'images'),
      arch: process.arch,
    }).run({
      layers,
      folder: step,
      argv: ['sh', '-c', script],
      env: { PATH: '/bin', ...env },
      cwd: workdir ?? '/',
      user: { uid: 0, gid: 0, groups: [], home: '/' },
      network: { kind: 'none' },
      onLine: (line) => lines.push(line),
    })
    expect(exitCode, lines.join('\n')).toBe(0)
    return lines
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gibil-dockerfile-'))
    test = await createTestStore()
    hostkit = await startHostkit()
    store = await test.open({ hostkit })
    const rootfs = join(folder, 'rootfs')
    await makeRootfs(rootfs)
    await store.importTar('tiny', await tarOf(rootfs))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
    await test.remove()
    await hostkit.close()
  })

  it('runs the common instructions', async () => {
    const root = await context({
      Dockerfile: `
ARG BASE=nothing
FROM \${BASE} AS base
ARG VERSION
ARG COLOUR=blue
ENV GREETING="hello \${VERSION:-none}" \\
    # a comment between the lines
    PLACE='$HOME'
WORKDIR /srv/app
WORKDIR deeper
COPY --chown=agent:wheel --chmod=640 one.txt ./
COPY *.md docs/ /docs/
RUN echo "$GREETING $COLOUR" > said && \\
    ls /docs >> said
RUN ["sh", "-c", "echo 'a  b' > spaces"]
RUN <<END
echo first > /heredoc
echo second >> /heredoc
END
COPY <<ONE <<"TWO" /texts/
value \${VERSION}
ONE
value \${VERSION}
TWO
USER agent
RUN id -u > /home/agent/uid; echo $HOME >> /home/agent/uid
LABEL maker=tests "with space"="a b"
EXPOSE 80 53/udp
VOLUME /data
ENTRYPOINT ["sh"]
CMD ["-c", "echo hi"]
`,
      'one.txt': 'one',
      'a.md': 'A',
      'b.md': 'B',
      'docs/c.txt': 'C',
    })
    const { image } = await build(root, { args: { BASE: 'tiny', VERSION: '1.2' } })
    expect(image).toMatchObject({ name: 'app', workdir: '/srv/app/deeper', user: 'agent' })
    expect(image.env).toMatchObject({ GREETING: 'hello 1.2', PLACE: '$HOME' })
    expect(image.env).not.toHaveProperty('VERSION')
    expect(
      await inImage(
        'app',
        'cat said spaces /heredoc /texts/ONE /texts/TWO /home/agent/uid; stat -c "%a %u %g" one.txt',
      ),
    ).toEqual([
      ...['hello 1.2 blue', 'a.md', 'b.md', 'c.txt', 'a  b', 'first', 'second'],
      ...['value 1.2', ['value $', '{VERSION}'].join(''), '1000', '/home/agent', '640 1000 10'],
    ])
  })

  it('builds several stages, and only those that are needed', async () => {
    const root = await context({
      Dockerfile: `
FROM tiny AS build
RUN mkdir /out && echo made > /out/file && ln -s file /out/link
FROM tiny AS broken
RUN exit 9
FROM build AS more
RUN echo more > /out/more
FROM tiny
RUN mkdir -p /real && ln -s real /linked
COPY --from=more /out/ /linked/
COPY --from=0 /out/fi* /one
COPY --from=tiny /etc/passwd /copied
`,
    })
    await build(root, { name: 'stages' })
    expect(
      await inImage(
        'stages',
        'cat /real/file /real/link /real/more /one; ls -d /linked/more; stat -c %F /real/link /linked',
      ),
    ).toEqual([...['made', 'made', 'more', 'made', '/linked/more', 'symbolic link', 'symbolic link']])
    expect(await inImage('stages', 'cat /copied')).toContain('agent:x:1000:1000::/home/agent:/bin/sh')
  })

  it('caches by layer: what a step depends on decides, and nothing else', async () => {
    const files = {
      Dockerfile: 'FROM tiny\nRUN echo 1 > /one\nCOPY a.txt /\nRUN cat /a.txt > /two\nCMD ["x"]\n',
      'a.txt': 'a',
      'other.txt': 'x',
    }
    const first = await build(await context(files), { name: 'cached' })
    expect(first.messages).not.toContain('cached')
    const again = await build(await context({ ...files, 'other.txt': 'y' }), { name: 'cached' })
    expect(again.messages.filter((one) => one === 'cached')).toHaveLength(3)
    expect(again.image.digest).toBe(first.image.digest)
    const changed = await build(await context({ ...files, 'a.txt': 'b' }), { name: 'cached' })
    expect(changed.messages.filter((one) => one === 'cached')).toHaveLength(1)
    expect(await inImage('cached', 'cat /two')).toEqual(['b'])
    const anew = await build(await context(files), { name: 'cached', noCache: true })
    expect(anew.messages).not.toContain('cached')
  })

  it('keeps finished steps of a failed build, and says where it failed', async () => {
    const file = (last: string) => `FROM tiny\nRUN echo slow step\n\nRUN ${last}\n`
    const failed = await failureOf(
      build(await context({ 'docker/File': file('echo almost; echo no >&2; exit 7') }), {
        dockerfile: 'docker/File',
        name: 'failing',
      }),
    )
    expect(failed.code).toBe('image_build_failed')
    expect(failed.message).toContain('docker/File:4: RUN echo almost; echo no >&2; exit 7: exit code 7')
    expect(failed.details).toMatchObject({
      file: 'docker/File',
      line: 4,
      log: expect.stringContaining('almost'),
    })
    expect(await failureOf(store.resolve('failing'))).toMatchObject({ code: 'image_not_found' })
    expect(await test.leftovers()).toEqual([])
    const good = await build(await context({ Dockerfile: file('touch /x') }), { name: 'failing' })
    expect(good.messages).toContain('cached')
  })

  it.each([
    ['an unknown instruction', 'FROM tiny\nFOO bar', 'Dockerfile:2: FOO bar'],
    ['ADD of an address', 'FROM tiny\nADD https://example.org/x /x', 'is not fetched'],
    ['a missing file', 'FROM tiny\nCOPY nothing /x', '"nothing" is not in the build context'],
    ['an ignored file', 'FROM tiny\nCOPY secret /x', 'is ignored there'],
    ['a missing user', 'FROM tiny\nUSER nobodyhere\nRUN ls', 'no user "nobodyhere"'],
    ['a missing program', 'FROM tiny\nRUN ["/no/such"]', '/no/such'],
    ['no FROM', 'RUN ls', 'no FROM'],
    ['a command before FROM', 'RUN ls\nFROM tiny', 'only ARG may stand before'],
    ['nothing at all', '', 'no FROM'],
    ['another platform', 'FROM --platform=linux/s390x tiny', 'builds for linux/'],
    ['a quote that is not closed', 'FROM tiny\nENV A="b', 'not closed'],
    ['a secret mount', 'FROM tiny\nRUN --mount=type=secret,id=x ls', 'type=cache'],
    ['an empty image', 'FROM scratch\nENV A=b', 'would be empty'],
    ['a file in the way', 'FROM tiny\nCOPY Dockerfile /etc', undefined],
    ['a directory over a file', 'FROM tiny\nCOPY folder /etc/passwd/', 'is in the way'],
  ])('refuses %s', async (_, dockerfile, message) => {
    const root = await context({ Dockerfile: dockerfile, '.dockerignore': 'secret', secret: 's', 'folder/x': 'x' })
    if (message === undefined) {
      await build(root, { name: 'fine' })
      expect(await inImage('fine', 'ls /etc/Dockerfile')).toEqual(['/etc/Dockerfile'])
      return
    }
    const error = await failureOf(build(root, { name: 'refused' }))
    expect(error.code).toBe('image_build_failed')
    expect(error.message).toContain(message)
    expect(await test.leftovers()).toEqual([])
  })

  it('follows .dockerignore, takes back included', async () => {
    const root = await context({
      Dockerfile: 'FROM tiny\nCOPY . /all\n',
      '.dockerignore': '# all but sources\n*\n!src\n**/*.log\n!src/keep.log\n',
      'src/a': 'a',
      'src/b.log': 'b',
      'src/keep.log': 'k',
      'src/deep/c.log': 'c',
      'other/d': 'd',
    })
    await build(root, { name: 'ignoring' })
    expect(await inImage('ignoring', 'cd /all; ls * */*')).toEqual([
      'src/a',
      'src/keep.log',
      '',
      'src:',
      'a',
      'deep',
      'keep.log',
      '',
      'src/deep:',
    ])
  })

  it('never reads or writes outside of the context and the image', async () => {
    const outside = join(folder, 'outside')
    await writeFile(outside, 'host secret')
    const root = await context({ Dockerfile: 'FROM tiny\nCOPY link /x\n' })
    await symlink(outside, join(root, 'link'))
    expect((await failureOf(build(root, { name: 'escape' }))).code).toBe('image_build_failed')

    const climbing = await context({ Dockerfile: 'FROM tiny\nCOPY ../../../../../../../../etc/hostname /x\n' })
    expect((await failureOf(build(climbing, { name: 'escape' }))).message).toContain('is not in the build context')

    const through = await context({ Dockerfile: `FROM tiny\nRUN ln -s ${folder} /way\nCOPY Dockerfile /way/planted\n` })
    await build(through, { name: 'through' })
    await expect(run('ls', [join(folder, 'planted')])).rejects.toThrow()
    expect(await inImage('through', `ls ${folder}`)).toEqual(['planted'])
  })

  it('unpacks local archives by ADD, and refuses those that climb', async () => {
    const root = await context({
      Dockerfile: 'FROM tiny\nADD tree.tar.gz plain.txt /added/\n',
      'plain.txt': 'p',
      'tree/x/y': 'y',
    })
    await run('tar', ['-czf', join(root, 'tree.tar.gz'), '-C', join(root, 'tree'), '.'])
    await build(root, { name: 'adding' })
    expect(await inImage('adding', 'cat /added/x/y /added/plain.txt')).toEqual(['yp'])

    await run('tar', [
      '-czPf',
      join(root, 'tree.tar.gz'),
      '--transform',
      's,plain.txt,../../climbed,',
      '-C',
      root,
      'plain.txt',
    ])
    expect((await failureOf(build(root, { name: 'adding' }))).message).toContain('leaves its root')
  })

  it.each([
    ['a user namespace', true],
    ['the root of the host, with less power', false],
  ])('gives a step no more than it needs, with %s', async (_, shifted) => {
    const root = await context({
      Dockerfile: `FROM tiny
RUN --mount=type=cache,target=/cache touch /cache/x && ls /cache
RUN ! mknod /dev/sda b 8 0 && [ -z "$(cat /proc/kcore)" ] && ! mkdir /sys/x && ! echo 1 > /proc/sys/kernel/panic
RUN cat /proc/net/dev /proc/self/uid_map > /seen && stat -c %u / /usr /etc/passwd /home/agent > /owners
RUN touch /new && chown 1000:10 /new && chmod 6755 /new && ln /new /hard && ln -s /etc /link && mkdir /kept && chown 7:8 /kept
RUN rm -r /home/agent && mkdir -p /home/agent/again && touch /home/agent/again/file && rm /usr/bin/dd
`,
    })
    const confined = shifted ? store : await test.open()
    await confined.build({ name: 'confined', noCache: true }, await tarOf(root))
    const lines = await inImage('confined', 'ls -A /cache; cat /seen', confined)
    expect(lines.filter((line) => line.includes(':')).map((line) => line.trim().split(':')[0])).toEqual(['lo'])
    const map = lines.at(-1)?.trim().split(/\s+/).map(Number) ?? []
    if (shifted) expect(map[1]).toBeGreaterThanOrEqual(0x6f00_0000)
    else expect(map[1]).toBe(0)
    expect(await inImage('confined', 'cat /owners', confined)).toEqual(['0', '0', '0', '1000'])
    const owners = 'stat -c "%a %u %g %h" /new /kept; ls /home/agent /home/agent/again /usr/bin/dd /link/passwd 2>&1'
    expect(await inImage('confined', `${owners}; true`, confined)).toEqual([
      ...['6755 1000 10 2', '755 7 8 2'],
      expect.stringContaining("'/usr/bin/dd'"),
      ...['/link/passwd', '', '/home/agent:', 'again', '', '/home/agent/again:', 'file'],
    ])
    await confined.remove('confined')
    test.pass(120_000)
    await confined.prune()
  })

  it('takes file removals of a step into the layer', async () => {
    const root = await context({
      Dockerfile: 'FROM tiny\nRUN mkdir /a && touch /a/b /a/c\nRUN rm /a/b\nRUN rm -r /a && mkdir /a && touch /a/d\n',
    })
    await build(root, { name: 'removing' })
    expect(await inImage('removing', 'ls /a')).toEqual(['d'])
  })

  it('stops when it is cancelled, and leaves nothing', async () => {
    const root = await context({ Dockerfile: 'FROM tiny\nRUN echo begun; sleep 98761\n' })
    const stop = new AbortController()
    const building = store.build({ name: 'slow' }, await tarOf(root), {
      signal: stop.signal,
      onProgress: ({ message }) => {
        if (message === 'begun') stop.abort()
      },
    })
    expect((await failureOf(building)).code).toBe('cancelled')
    expect(await test.leftovers()).toEqual([])
    const { stdout } = await run('sh', [
      '-c',
      'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep -c "sleep 9876[1]" || true',
    ])
    expect(Number(stdout)).toBe(0)
  })

  it('refuses a context that is no archive, is cut off or lacks the Dockerfile', async () => {
    const root = await context({ Dockerfile: 'FROM tiny\n', big: 'x'.repeat(100_000) })
    const { stdout } = await run('tar', ['-c', '-C', root, '.'], { encoding: 'buffer' })
    const attempt = (bytes: Buffer, dockerfile?: string) =>
      failureOf(
        store.build(
          { name: 'bad', ...(dockerfile ? { dockerfile } : {}) },
          Readable.from([bytes], { objectMode: false }),
        ),
      )
    for (const bytes of [Buffer.from('no archive at all'.repeat(100)), stdout.subarray(0, 60_000), Buffer.alloc(0)]) {
      expect(await attempt(bytes)).toMatchObject({ code: 'image_build_failed' })
    }
    expect((await attempt(stdout, 'Other')).message).toContain('"Other"')
    expect((await failureOf(store.build({ name: 'bad' }, undefined))).code).toBe('invalid_request')
    expect((await failureOf(store.build({ name: '../bad', recipe: 'base' }, undefined))).code).toBe('invalid_request')
    expect((await failureOf(store.build({ name: 'bad', recipe: '../base' }, undefined))).code).toBe('image_not_found')
    expect(await test.leftovers()).toEqual([])
  })
})
