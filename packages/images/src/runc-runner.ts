import { randomBytes } from 'node:crypto'
import { chmod, lchown, lstat, mkdir, readFile, rm, rmdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { HostKit } from '@gibil/hostkit-client'
import * as z from 'zod'
import { buildCgroup, removeCgroup, sweepBuildCgroups } from './build-cgroup.ts'
import type { BuildRunner, BuildStep, BuildStepResult } from './build-runner.ts'
import { makeFolder, parseJson, readIfThere } from './files.ts'
import { overlayArguments } from './overlay.ts'
import { buildSpec } from './runc-spec.ts'
import { type IdRange, shiftTree } from './shift-tree.ts'
import { type HostEnv, runTool, type ToolResult } from './tool.ts'
import { openWorkspaces } from './workspace.ts'

export interface RuncRunnerOptions {
  readonly env: HostEnv
  /** Folder of the store; cgroup names derive from it, so that two homes share nothing. */
  readonly root: string
  /** As `process.arch`. */
  readonly arch: string
  /** What mounts layers with shifted ids. Absent: the root of a step is the root of the host, with less power. */
  readonly hostkit?: Pick<HostKit, 'mountOverlay' | 'unmount'> | undefined
}

/** User ids of the host that build steps get, 65 536 each: 256 ranges below those of boxes, which begin at 0x70000000. */
const firstId = 0x6f00_0000
const idsPerStep = 65_536

/** Mounts the overlay and becomes runc, all inside namespaces of its own: the mount is seen by nobody else and cannot be left behind. */
const mountThenRun = 'cd "$1" && shift && "$1" -t overlay overlay -o "$2" "$3" && shift 3 && cd / && exec "$@"'

/** The last error in runc's own log: it could not start the command. */
const runcFailure = async (log: string): Promise<string | undefined> => {
  const RuncLine = z.object({ level: z.string(), msg: z.string() })
  const lines = ((await readIfThere(log)) ?? '').split('\n').map((line) => RuncLine.safeParse(parseJson(line)).data)
  return lines.findLast((line) => line?.level === 'error')?.msg
}

/** What runc makes in a file system that lacks its mount points does not belong to the image. Nothing is followed: a step may leave any link. */
const removeMountPoints = async (upper: string): Promise<void> => {
  for (const path of ['proc', 'sys', 'dev']) await rmdir(join(upper, path)).catch(() => undefined)
  const kindOf = (path: string) => lstat(join(upper, path)).catch(() => undefined)
  if (!(await kindOf('etc'))?.isDirectory()) return
  for (const path of ['etc/resolv.conf', 'etc/hosts']) {
    const file = await kindOf(path)
    if (file?.isFile() && file.size === 0) await unlink(join(upper, path))
  }
}

const resolvConfOf = async (step: BuildStep): Promise<string> => {
  if (step.network.kind === 'namespace') return step.network.resolvConf
  return step.network.kind === 'host' ? readFile('/etc/resolv.conf', 'utf8') : ''
}

/**
 * Where steps are mounted: not in the home, which may lie below a private folder, while the root of a step's user namespace, who
 * is nobody here, must get through. Nothing in it is worth hiding: the ids are shifted.
 */
const runFolder = (root: string): string => join('/run', buildCgroup(root))

/** Removes what build steps of a killed daemon left outside of the home. For before the first step of a process. */
export const sweepBuildSteps = async (root: string, env: HostEnv): Promise<void> => {
  const folder = runFolder(root)
  // Only root runs steps; a daemon of another user has nothing there.
  if (process.geteuid?.() !== 0) return
  await mkdir(folder, { recursive: true })
  await openWorkspaces(folder, env, 0o711).sweep()
  await rmdir(folder).catch(() => undefined)
  await sweepBuildCgroups(root)
}

interface Overlay {
  readonly merged: string
  readonly upper: string
  readonly work: string
  readonly lower: readonly string[]
}

/**
 * Runs build steps by runc: own user (with hostkit), pid, mount, ipc, uts, cgroup and network namespaces, less capabilities
 * than Docker leaves, a seccomp filter, masked paths, a limit on processes.
 */
export const createRuncRunner = ({ env, root, arch, hostkit }: RuncRunnerOptions): BuildRunner => {
  const prefix = buildCgroup(root)

  /** Files and folders that the step sees of the host. */
  const prepareBinds = async (step: BuildStep, run: string, ids: IdRange | undefined) => {
    const texts = [
      { target: '/etc/resolv.conf', text: await resolvConfOf(step), executable: false },
      { target: '/etc/hosts', text: '127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tbuild\n', executable: false },
      ...(await Promise.all(
        (step.files ?? []).map(async ({ source, target, executable = false }) => ({
          target,
          text: await readFile(source),
          executable,
        })),
      )),
    ]
    const files = texts.map((file, at) => ({ ...file, source: join(run, `file-${at}`) }))
    for (const { source, text, executable } of files) {
      await writeFile(source, text)
      await chmod(source, executable ? 0o755 : 0o644)
    }
    const scratch = (step.scratch ?? []).map((target, at) => {
      return { source: join(step.folder, `scratch-${at}`), target, executable: true, writable: true }
    })
    for (const { source } of scratch) {
      await makeFolder(source, 0o755)
      if (ids) await lchown(source, ids.base, ids.base)
    }
    return [...files, ...scratch]
  }

  const runInOverlay = async (
    step: BuildStep,
    overlay: Overlay,
    ids: IdRange | undefined,
    runc: readonly string[],
  ): Promise<ToolResult> => {
    const { merged: target, lower, upper, work } = overlay
    const options = { env, signal: step.signal, contained: true, onLine: step.onLine }
    if (!hostkit || !ids) {
      const { cwd, argv } = overlayArguments({ target, lower, writable: { upper, work } })
      return runTool(['sh', '-c', mountThenRun, 'sh', cwd, 'mount', argv.at(5) ?? '', target, ...runc], options)
    }
    try {
      await hostkit.mountOverlay({ target, lower, upper, work, idmap: ids })
      return await runTool(runc, options)
    } finally {
      await hostkit.unmount({ target })
    }
  }

  const runIn = async (step: BuildStep, run: string): Promise<BuildStepResult> => {
    const name = randomBytes(6)
    const id = `${prefix}-${name.toString('hex')}`
    const ids = hostkit && { base: firstId + (name[0] ?? 0) * idsPerStep, count: idsPerStep }
    const place = (part: string): string => join(step.folder, part)
    const nothing = place('nothing')
    const lower = step.layers.length > 0 ? step.layers : [nothing]
    const overlay = { merged: join(run, 'merged'), upper: place('upper'), work: place('work'), lower }
    for (const path of [overlay.merged, overlay.upper, nothing]) await makeFolder(path, 0o755)
    await makeFolder(overlay.work, 0o700)
    const bundle = join(run, 'bundle')
    await makeFolder(bundle, 0o700)
    const cgroup = `${prefix}/${id}`
    const binds = await prepareBinds(step, run, ids)
    const spec = buildSpec({ step, rootfs: overlay.merged, cgroup: `/${cgroup}`, arch, binds, userNamespace: ids })
    await writeFile(join(bundle, 'config.json'), JSON.stringify(spec), { mode: 0o600 })
    const log = join(bundle, 'runc.log')
    const runc = ['runc', '--root', join(bundle, 'state'), '--log', log, '--log-format', 'json']
    try {
      const result = await runInOverlay(step, overlay, ids, [...runc, 'run', '--bundle', bundle, id])
      const failure = result.exitCode === 0 ? undefined : await runcFailure(log)
      if (failure !== undefined) {
        throw new GibilError(
          'driver_failed',
          `The command could not be started: ${failure.replace(/^.*: exec: /, 'exec: ')}`,
        )
      }
      if (result.exitCode === undefined) {
        throw new GibilError('driver_failed', 'The command was killed from outside.', { details: { log: result.tail } })
      }
      await removeMountPoints(overlay.upper)
      const shifted = place('tree')
      if (ids && result.exitCode === 0) await shiftTree(overlay.upper, shifted, ids, { env, signal: step.signal })
      return { exitCode: result.exitCode, tail: result.tail, tree: ids ? shifted : overlay.upper }
    } finally {
      await removeCgroup(cgroup)
      await rm(overlay.work, { recursive: true, force: true })
    }
  }

  let running = 0
  return {
    run: async (step) => {
      const folder = runFolder(root)
      running += 1
      try {
        await mkdir(folder, { recursive: true })
        await chmod(folder, 0o711)
        return await openWorkspaces(folder, env, 0o711).use((run) => runIn(step, run))
      } finally {
        running -= 1
        if (running === 0) await rmdir(folder).catch(() => undefined)
      }
    },
  }
}
