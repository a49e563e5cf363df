import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { execa } from 'execa'

export const root = resolve(import.meta.dirname, '../..')
const cache = join(root, '.cache')
/** Where images are built once for all tests. */
const imageHome = join(cache, 'image-home')

export interface CliResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  readonly input?: string
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** In ms; 5 minutes if absent. */
  readonly timeoutMs?: number
}

/** A home of the test's own, with images of ours in it, its daemon started by the real CLI. */
export interface TestHome extends AsyncDisposable {
  readonly path: string
  /** Runs `./gibil …` as a user would; never throws for a status other than 0. */
  gibil(args: readonly string[], options?: RunOptions): Promise<CliResult>
  /** Starts the daemon when it is not running. */
  startDaemon(env?: Record<string, string>): Promise<CliResult>
}

async function runCli(home: string, args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
  const result = await execa(join(root, 'gibil'), args, {
    // Spares would be traces of boxes that the test has not made.
    env: { GIBIL_HOME: home, GIBIL_POOL: '0', NO_COLOR: '1', ...options.env },
    cwd: options.cwd ?? root,
    input: options.input ?? '',
    reject: false,
    stripFinalNewline: false,
    timeout: options.timeoutMs ?? 300_000,
  })
  return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr }
}

type Image = 'base' | 'code-interpreter' | 'docker' | 'e2b' | 'vm' | 'workstation' | 'no image'

/** Builds an image when it is not built for these sources yet. Test runs side by side wait for each other. */
async function provideImage(name: Exclude<Image, 'no image'>): Promise<void> {
  await mkdir(imageHome, { recursive: true })
  const build = `./gibil up --daemon-only && ./gibil image build ${name}; status=$?; ./gibil down; exit $status`
  const result = await execa('flock', [`${imageHome}.lock`, 'sh', '-c', build], {
    env: { GIBIL_HOME: imageHome, GIBIL_POOL: '0' },
    cwd: root,
    all: true,
    reject: false,
  })
  if (result.exitCode !== 0) throw new Error(`The image ${name} could not be built:\n${result.all}`)
}

/** Gives a home an image that is built, and none of the others. Layers are never written to, so hard links share them without a copy. */
async function linkImage(name: Exclude<Image, 'no image'>, home: string): Promise<void> {
  const manifest = join('manifests', `${name}.json`)
  const { layers } = JSON.parse(await readFile(join(imageHome, 'images', manifest), 'utf8'))
  const marked = layers.flatMap((id: string) => [join('layers', id), join('layers', `${id}.json`)])
  await mkdir(join(home, 'images'), { mode: 0o700 })
  await execa('cp', ['-al', '--parents', manifest, ...marked, join(home, 'images')], { cwd: join(imageHome, 'images') })
}

/** `env`: of the CLI and the daemon, each time. */
export async function makeHome(image: Image = 'base', env: Readonly<Record<string, string>> = {}): Promise<TestHome> {
  if (image !== 'no image') await provideImage(image)
  await mkdir(join(cache, 'homes'), { recursive: true })
  const path = await mkdtemp(join(cache, 'homes', 'h-'))
  if (image !== 'no image') await linkImage(image, path)
  const cli: TestHome['gibil'] = (args, options) => runCli(path, args, { ...options, env: { ...env, ...options?.env } })
  return {
    path,
    gibil: cli,
    startDaemon: (changes = {}) => cli(['up', '--daemon-only'], { env: changes }),
    async [Symbol.asyncDispose]() {
      await cli(['up', '--daemon-only'])
      await cli(['destroy', '--all', '--yes'])
      await cli(['down'])
      await rm(path, { recursive: true, force: true })
    },
  }
}
