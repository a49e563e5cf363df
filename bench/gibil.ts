import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Gibil, type OwnedBox } from '@gibil/sdk'
import { descendants, isAlive, mustRun, pssBytes } from './process.ts'
import type { Running, Subject } from './subject.ts'

const root = join(import.meta.dirname, '..')
const cache = join(root, '.cache')
/** Where tests and the bench build images once. */
const imageHome = join(cache, 'image-home')

export interface GibilSubject extends Subject, AsyncDisposable {
  readonly home: string
  readonly sdk: Gibil
  createBox(): Promise<OwnedBox>
  pid(): Promise<number>
  stopDaemon(): Promise<void>
  startDaemon(): Promise<void>
  /** Processes on the host that are there because of this box. */
  pidsOf(box: OwnedBox): Promise<readonly number[]>
  /** The base image's layers, top first. */
  layers(): Promise<readonly string[]>
}

type ImageName = 'base' | 'vm' | 'e2b'

async function provideImage(name: ImageName): Promise<void> {
  await mkdir(imageHome, { recursive: true })
  const build = `./gibil up --daemon-only && ./gibil image build ${name}; status=$?; ./gibil down; exit $status`
  await mustRun(['flock', `${imageHome}.lock`, 'sh', '-c', build], {
    env: { ...process.env, GIBIL_HOME: imageHome },
    cwd: root,
  })
}

interface GibilWish {
  readonly name: string
  readonly pool: number
  readonly images: readonly ImageName[]
}

/**
 * A daemon with a home of its own, with images in it by hard links: layers are never written to. `pool` is how many boxes it makes
 * ahead at most; without, each create is a cold one.
 */
export async function startGibil({ name, pool, images }: GibilWish): Promise<GibilSubject> {
  const cli = (at: string, ...args: string[]): Promise<string> =>
    mustRun([join(root, 'gibil'), ...args], {
      env: { ...process.env, GIBIL_HOME: at, GIBIL_POOL: String(pool), NO_COLOR: '1' },
      cwd: root,
    })
  for (const image of images) await provideImage(image)
  await mkdir(join(cache, 'homes'), { recursive: true })
  const home = await mkdtemp(join(cache, 'homes', 'bench-'))
  await mustRun(['cp', '-al', join(imageHome, 'images'), home])
  await cli(home, 'up', '--daemon-only')
  const sdk = Gibil.connect({ home })
  const pid = async (): Promise<number> => (await sdk.version()).pid
  const createBox = (): Promise<OwnedBox> => sdk.create({ ttl: '2h' })
  return {
    name,
    home,
    sdk,
    createBox,
    pid,
    async settle() {
      const deadline = Date.now() + poolFillMs
      while (pool > 0 && (await poolLacks(home)) && Date.now() < deadline) await sleep(20)
    },
    async create() {
      return asRunning(await createBox(), home)
    },
    async daemonBytes() {
      const daemon = await pid()
      const own = [daemon, ...(await descendants(daemon))]
      return pssBytes(own)
    },
    async stopDaemon() {
      const old = await pid()
      sdk.close()
      await cli(home, 'down')
      if (isAlive(old)) throw new Error(`The daemon ${old} did not end.`)
    },
    async startDaemon() {
      await cli(home, 'up', '--daemon-only')
    },
    pidsOf: async (box) => pidsOfBox(home, (await box.info()).id),
    async layers() {
      const text = await readFile(join(home, 'images/manifests/base.json'), 'utf8')
      const { layers } = JSON.parse(text)
      if (!Array.isArray(layers)) throw new Error('The manifest of the base image names no layers.')
      return layers.map((id) => join(home, 'images/layers', String(id)))
    },
    async [Symbol.asyncDispose]() {
      sdk.close()
      await cli(home, 'up', '--daemon-only')
      await cli(home, 'destroy', '--all', '--yes')
      await cli(home, 'down')
      await rm(home, { recursive: true, force: true })
    },
  }
}

const poolFillMs = 30_000

/** Whether the daemon still makes boxes ahead, or has yet to begin to. */
async function poolLacks(home: string): Promise<boolean> {
  const { url } = JSON.parse(await readFile(join(home, 'gibild.json'), 'utf8'))
  const token = (await readFile(join(home, 'token'), 'utf8')).trim()
  const answer = await fetch(`${url}/v1/metrics`, { headers: { authorization: `Bearer ${token}` } })
  const text = await answer.text()
  const count = (what: string): number =>
    Number(new RegExp(`^gibil_pool_spares\\{count="${what}"\\} (\\d+)$`, 'm').exec(text)?.[1])
  return count('ready') < count('wanted')
}

function asRunning(box: OwnedBox, home: string): Running {
  return {
    run: async (line) => (await box.run(line, { check: true })).stdout,
    destroy: async () => void (await box.destroy()),
    pids: async () => pidsOfBox(home, (await box.info()).id),
  }
}

/** boxd and what runs below it: everything in the box's cgroup. */
async function pidsOfBox(home: string, id: string): Promise<number[]> {
  const found = await mustRun([
    'sh',
    '-c',
    `cat /sys/fs/cgroup/pids/*/${id}/cgroup.procs /sys/fs/cgroup/*/${id}/cgroup.procs 2>/dev/null || true`,
  ])
  const pids = found.split('\n').filter(Boolean).map(Number)
  if (pids.length === 0) throw new Error(`The box ${id} of ${home} has no process.`)
  return [...new Set(pids)]
}
