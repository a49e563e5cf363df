/** What the tests of the store share: a store in a folder of its own, a small root file system, tar archives, what is left behind. */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { GibilError } from '@gibil/contract'
import { createHostKit, type HostKit } from '@gibil/hostkit-client'
import { buildCgroup } from '../src/build-cgroup.ts'
import { type ImageStore, type ImageStoreOptions, openImageStore } from '../src/index.ts'

export const run = promisify(execFile)

const programs = [
  'sh',
  'cat',
  'ls',
  'id',
  'cp',
  'mkdir',
  'rm',
  'chmod',
  'chown',
  'touch',
  'ln',
  'stat',
  'sleep',
  'env',
  'dd',
  'mknod',
  'mv',
]

/** A root file system of programs of this host with the libraries that they need. */
export const makeRootfs = async (folder: string): Promise<void> => {
  const copies = new Set<string>()
  for (const program of programs) {
    const path = (await run('sh', ['-c', `command -v ${program}`], { env: { PATH: '/usr/bin:/bin' } })).stdout.trim()
    await mkdir(join(folder, 'usr/bin'), { recursive: true })
    await cp(await realpath(path), join(folder, 'usr/bin', program))
    const { stdout } = await run('ldd', [path])
    for (const library of stdout.match(/\/\S+/g) ?? []) copies.add(library)
  }
  for (const library of copies) {
    const target = join(folder, library)
    await mkdir(dirname(target), { recursive: true })
    await cp(await realpath(library), target)
  }
  await run('ln', ['-s', 'usr/bin', join(folder, 'bin')])
  for (const path of ['etc', 'tmp', 'home/agent']) await mkdir(join(folder, path), { recursive: true })
  await writeFile(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n')
  await writeFile(join(folder, 'etc/group'), 'root:x:0:\nagent:x:1000:\nwheel:x:10:agent\n')
  await run('chown', ['-R', '1000:1000', join(folder, 'home/agent')])
}

/** The error that work ends with. */
export const failureOf = async (work: Promise<unknown>): Promise<GibilError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!GibilError.is(error)) throw new Error(`expected a GibilError, got ${String(error)}`)
  return error
}

/** A folder of a tree as a tar stream. */
export const tarOf = async (folder: string, flags: readonly string[] = []): Promise<Readable> => {
  const { stdout } = await run('tar', ['--create', ...flags, '-C', folder, '.'], {
    encoding: 'buffer',
    maxBuffer: 256 * 1024 * 1024,
  })
  return Readable.from([stdout], { objectMode: false })
}

export interface TestStore {
  readonly home: string
  readonly used: Set<string>
  /** Moves the clock on. */
  pass(ms: number): void
  open(options?: Partial<ImageStoreOptions>): Promise<ImageStore>
  readLayers(): Promise<string[]>
  /** Work that was not cleaned up. */
  leftovers(): Promise<string[]>
  remove(): Promise<void>
}

const repository = fileURLToPath(new URL('../../..', import.meta.url))

/** hostkit, built if its sources changed. */
export const startHostkit = async (): Promise<HostKit> => {
  await run('sh', [join(repository, 'hostkit/build.sh'), join(repository, 'dist')])
  return createHostKit({ binary: join(repository, 'dist/hostkit') })
}

const recipesDir = join(repository, 'images')

export const createTestStore = async (): Promise<TestStore> => {
  const home = await mkdtemp(join(tmpdir(), 'gibil-images-'))
  const used = new Set<string>()
  let offset = 0
  return {
    home,
    used,
    pass: (ms) => {
      offset += ms
    },
    open: (options = {}) =>
      openImageStore({
        home,
        recipesDir,
        env: process.env,
        arch: process.arch,
        clock: { now: () => Date.now() + offset, after: () => () => undefined },
        log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
        digestsInUse: async () => used,
        ...options,
      }),
    readLayers: async () =>
      (await readdir(join(home, 'images/layers'))).filter((name) => !name.endsWith('.json')).sort(),
    leftovers: async () => {
      const run = join('/run', buildCgroup(join(home, 'images')))
      const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
      const mounts = lines.filter((line) => line.includes(home) || line.includes(run))
      const steps = await readdir(run).catch(() => [])
      const temporary = await readdir(join(home, 'images/tmp'))
      const marks = (await readdir(join(home, 'images/layers'))).filter((name) => name.endsWith('.tmp'))
      return [...mounts, ...steps, ...temporary, ...marks]
    },
    remove: async () => {
      for (const path of [home, join('/run', buildCgroup(join(home, 'images')))])
        await rm(path, { recursive: true, force: true })
    },
  }
}
