import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, rm, stat } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import {
  type CgroupLayout,
  type Cgroups,
  type HomeNames,
  type Log,
  lastLine,
  locate,
  parseJson,
  type RunTool,
  readIfThere,
  uidBaseOf,
  writeWhole,
} from '@gibil/host'
import * as z from 'zod'
import { boxdPath, type OciSpec, ociSpec } from './oci-spec.ts'

export interface RuntimeDeps {
  readonly names: HomeNames
  readonly layout: CgroupLayout
  readonly cgroups: Cgroups
  readonly run: RunTool
  readonly log: Log
  readonly boxdBinary: string
  readonly openFiles: number
  /** Names or paths of runtimes, best first. */
  readonly candidates: readonly string[]
}

/** runc first: crun 1.8 refuses hosts with cgroups of both versions, and what runc takes longer is a few milliseconds. */
export const knownRuntimes = ['runc', 'crun'] as const

const remembered = z.object({ key: z.string(), path: z.string() })

/**
 * The OCI runtime that works on this host: the first that really runs a tiny container with all that a box has. A runtime may be installed
 * and yet fail on the host's cgroup layout. The answer is kept until kernel, layout or runtimes change.
 * Throws `missing_tool` when there is none, `host_unfit` when none works.
 */
export async function chooseRuntime(deps: RuntimeDeps): Promise<string> {
  const paths = deps.candidates.flatMap((name) => locate(name) ?? [])
  if (paths.length === 0) {
    throw new GibilError('missing_tool', `No OCI runtime is installed (looked for ${deps.candidates.join(', ')}).`, {
      hint: 'Install runc: `apt-get install runc`, or run `./gibil up`.',
    })
  }
  return recall(deps, 'runtime.json', paths, async () => {
    const failures: Record<string, string> = {}
    for (const path of paths) {
      const failure = await probe(deps, (root) => [path, '--root', root])
      if (failure === undefined) {
        deps.log('info', 'OCI runtime chosen', { runtime: path, cgroups: deps.layout.version })
        return path
      }
      failures[path] = failure
    }
    const reasons = Object.entries(failures).map(([path, failure]) => `${path}: ${lastLine(failure)}`)
    throw new GibilError('host_unfit', `No OCI runtime can run a box on this host. ${reasons.join('; ')}`, {
      details: { failures, cgroups: deps.layout.version },
    })
  })
}

/** The path that `find` found last time in the same circumstances, else what it finds now. */
export async function recall(
  deps: Pick<RuntimeDeps, 'layout' | 'names'>,
  file: string,
  paths: readonly string[],
  find: () => Promise<string>,
): Promise<string> {
  const cacheFile = join(deps.names.cacheDir, file)
  const key = await probeKey(deps.layout, paths)
  const known = remembered.safeParse(parseJson((await readIfThere(cacheFile)) ?? ''))
  if (known.success && known.data.key === key && paths.includes(known.data.path)) return known.data.path
  const path = await find()
  await mkdir(deps.names.cacheDir, { recursive: true, mode: 0o700 })
  await writeWhole(cacheFile, `${JSON.stringify({ key, path })}\n`, { durable: false })
  return path
}

async function probeKey(layout: CgroupLayout, paths: readonly string[]): Promise<string> {
  const facts = await Promise.all(
    paths.map(async (path) => {
      const { size, mtimeMs } = await stat(path)
      return `${path} ${size} ${mtimeMs}`
    }),
  )
  return [release(), `cgroup${layout.version}`, ...facts].join('\n')
}

/**
 * Runs a tiny container. `command` is the runtime with its flags, given where to keep its state; `adapt` may change the configuration, given a
 * directory of the container's root. Undefined when it works, else what the runtime said.
 */
export async function probe(
  deps: Omit<RuntimeDeps, 'candidates'>,
  command: (root: string) => readonly [string, ...string[]],
  adapt: (spec: OciSpec, directory: string) => OciSpec = (spec) => spec,
): Promise<string | undefined> {
  const id = `probe-${randomBytes(4).toString('hex')}`
  const directory = join(deps.names.runDir, id)
  const rootfs = join(directory, 'rootfs')
  const shared = join(directory, 'shared')
  const [runtime, ...flags] = command(join(directory, 'runtime'))
  const uidBase = uidBaseOf(0, 0)
  try {
    await mkdir(rootfs, { recursive: true, mode: 0o711 })
    await mkdir(shared, { mode: 0o700 })
    await Promise.all([rootfs, shared].map((path) => chown(path, uidBase, uidBase)))
    const spec = ociSpec(
      {
        hostname: 'probe',
        rootfs,
        args: [boxdPath, '--version'],
        boxdBinary: deps.boxdBinary,
        cgroupsPath: `/${deps.names.prefix}/${id}`,
        uidBase,
        size: { cpu: 1, memoryMib: 128, diskMib: 64 },
        processes: { box: 64, user: 60 },
        openFiles: deps.openFiles,
        netns: undefined,
        env: {},
        arch: process.arch,
      },
      existsSync,
    )
    await writeWhole(join(directory, 'config.json'), JSON.stringify(adapt(spec, shared)), { durable: false })
    const { exitCode, stdout, stderr } = await deps.run(runtime, [...flags, 'run', '--bundle', directory, id])
    return exitCode === 0 ? undefined : stderr || stdout || `exit status ${exitCode ?? 'unknown'}`
  } finally {
    await deps.run(runtime, [...flags, 'delete', '--force', id])
    await deps.cgroups.kill(id)
    await deps.cgroups.remove(id)
    await rm(directory, { recursive: true, force: true })
  }
}

/** The command that starts a box and returns when its first process runs; file descriptor 3 is passed on. */
export function startCommand(
  context: { runtime: string; names: HomeNames },
  id: string,
  bundle: string,
  pidFile: string,
): string[] {
  return [
    context.runtime,
    '--root',
    context.names.runtimeRoot,
    'run',
    '--detach',
    '--preserve-fds',
    '1',
    '--bundle',
    bundle,
    '--pid-file',
    pidFile,
    id,
  ]
}
