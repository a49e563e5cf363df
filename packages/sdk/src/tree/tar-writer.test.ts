import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TarEntry, tarStream } from './tar-writer.ts'
import { walkTree } from './walk.ts'

const run = promisify(execFile)
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-tar-'))
  await mkdir(join(dir, 'in'))
  await mkdir(join(dir, 'out'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** Packs, and unpacks with the tar of the system, which is not ours. */
async function roundTrip(entries: AsyncIterable<TarEntry> | Iterable<TarEntry>): Promise<string> {
  const tar = join(dir, 'x.tar')
  await pipeline(tarStream(entries), createWriteStream(tar))
  await run('tar', ['-xf', tar, '-C', join(dir, 'out')])
  return join(dir, 'out')
}

test('names of any length and script, sizes around a block, modes, times and links', async () => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(120)}/größe-文件`
  await mkdir(join(dir, 'in', long), { recursive: true })
  await writeFile(join(dir, 'in', long, 'f'), 'deep')
  for (const size of [0, 1, 511, 512, 513, 70_000, 300_000])
    await writeFile(join(dir, 'in', `s${size}`), 'x'.repeat(size))
  await writeFile(join(dir, 'in/run'), '', { mode: 0o755 })
  await symlink(`${'t'.repeat(150)}`, join(dir, 'in/link'))
  const out = await roundTrip(walkTree(join(dir, 'in')))
  expect(await readFile(join(out, long, 'f'), 'utf8')).toBe('deep')
  for (const size of [0, 1, 511, 512, 513, 70_000, 300_000]) expect((await stat(join(out, `s${size}`))).size).toBe(size)
  expect((await stat(join(out, 'run'))).mode & 0o777).toBe(0o755)
  expect(await readlink(join(out, 'link'))).toBe('t'.repeat(150))
  const [before, after] = await Promise.all([stat(join(dir, 'in/run')), stat(join(out, 'run'))])
  expect(Math.floor(after.mtimeMs / 1000)).toBe(Math.floor(before.mtimeMs / 1000))
})

test('a file that shrinks, one that vanishes, and a socket do not break the archive', async () => {
  await writeFile(join(dir, 'in/shrinks'), 'x'.repeat(900_000))
  await writeFile(join(dir, 'in/gone'), 'x')
  const server = createServer().listen(join(dir, 'in/socket'))
  async function* entries(): AsyncGenerator<TarEntry> {
    for await (const entry of walkTree(join(dir, 'in'))) {
      if (entry.name === 'gone') await rm(join(dir, 'in/gone'))
      yield entry
    }
    yield { name: 'last', kind: 'file', mode: 0o644, data: Buffer.from('end') }
  }
  const stream = tarStream(entries())
  const tar = join(dir, 'x.tar')
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    if (chunks.length === 1) await truncate(join(dir, 'in/shrinks'), 1000)
    chunks.push(chunk)
  }
  await writeFile(tar, Buffer.concat(chunks))
  await run('tar', ['-xf', tar, '-C', join(dir, 'out')])
  server.close()
  expect((await readdir(join(dir, 'out'))).sort()).toEqual(['last', 'shrinks'])
  expect((await stat(join(dir, 'out/shrinks'))).size).toBe(900_000)
})

test('ignore files hold for their directory, and deeper ones decide', async () => {
  const files = ['keep.txt', 'a.log', 'b/a.log', 'b/keep.log', 'b/c/x.tmp', 'node_modules/m/i.js', 'excluded/x']
  for (const file of files) {
    await mkdir(join(dir, 'in', file, '..'), { recursive: true })
    await writeFile(join(dir, 'in', file), '')
  }
  await writeFile(join(dir, 'in/.gitignore'), '*.log\nnode_modules/\n')
  await writeFile(join(dir, 'in/b/.gitignore'), '!keep.log\n*.tmp\n')
  const names: string[] = []
  const options = { ignoreFiles: ['.gitignore'], exclude: ['excluded'] }
  for await (const entry of walkTree(join(dir, 'in'), options)) if (entry.kind === 'file') names.push(entry.name)
  expect(names).toEqual(['.gitignore', 'b/.gitignore', 'b/keep.log', 'keep.txt'])
})
