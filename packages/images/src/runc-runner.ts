import { randomBytes } from 'node:crypto'
import { chmod, lchown, lstat, mkdir, readFile, rm, rmdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { HostKit } from '@gibil/hostkit-client'
import * as z from 'zod'
import { buildCgroup, removeCgroup } from './build-cgroup.ts'
import type { BuildRunner, BuildStep } from './build-runner.ts'
import { makeFolder, parseJson, readIfThere } from './files.ts'
import { overlayArguments } from './overlay.ts'
import { buildSpec } from './runc-spec.ts'
import { type IdRange, shiftTree } from './shift-tree.ts'
import { type HostEnv, runTool, type ToolResult } from './tool.ts'

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

/** Places of a step in its folder. */
const placesIn = (folder: string) => ({
  merged: join(folder, 'merged'),
  upper: join(folder, 'upper'),
  work: join(folder, 'work'),
  nothing: join(folder, 'nothing'),
  state: join(folder, 'runc'),
  log: join(folder, 'runc.log'),
  config: join(folder, 'config.json'),
  resolvConf: join(folder, 'resolv.conf'),
  hosts: join(folder, 'hosts'),
  secret: join(folder, 'secret'),
})

/**
 * Runs build steps by runc: own user (with hostkit), pid, mount, ipc, uts, cgroup and network namespaces, less capabilities
 * than Docker leaves, a seccomp filter, masked paths, a limit on processes.
 */
export const createRuncRunner = ({ env, root, arch, hostkit }: RuncRunnerOptions): BuildRunner => {
  const prefix = buildCgroup(root)

  /** Files and folders that the step sees of the host. */
  const prepareBinds = async (step: BuildStep, ids: IdRange | undefined) => {
    const places = placesIn(step.folder)
    await writeFile(places.resolvConf, await resolvConfOf(step))
    await writeFile(places.hosts, '127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tbuild\n')
    for (const path of [places.resolvConf, places.hosts]) await chmod(path, 0o644)
    const scratch = (step.scratch ?? []).map((target, at) => ({
      source: join(step.folder, `scratch-${at}`),
      target,
      executable: true,
      writable: true,
    }))
    for (const { source } of scratch) {
      await makeFolder(source, 0o755)
      if (ids) await lchown(source, ids.base, ids.base)
    }
    return [
      { source: places.resolvConf, target: '/etc/resolv.conf' },
      { source: places.hosts, target: '/etc/hosts' },
      ...(step.files ?? []),
      ...scratch,
    ]
  }

  const runInOverlay = async (
    step: BuildStep,
    ids: IdRange | undefined,
    runc: readonly string[],
  ): Promise<ToolResult> => {
    const { merged: target, upper, work, nothing } = placesIn(step.folder)
    const lower = step.layers.length > 0 ? step.layers : [nothing]
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

  return {
    run: async (step) => {
      const name = randomBytes(6)
      const id = `${prefix}-${name.toString('hex')}`
      const ids = hostkit && { base: firstId + (name[0] ?? 0) * idsPerStep, count: idsPerStep }
      const places = placesIn(step.folder)
      // Without shifted ids, setuid programs in it would be real ones for whoever gets in.
      await chmod(step.folder, ids ? 0o711 : 0o700)
      await makeFolder(places.secret, 0o700)
      for (const path of [places.merged, places.upper, places.nothing]) await makeFolder(path, 0o755)
      for (const path of [places.work, places.state]) await mkdir(path, { mode: 0o700 })
      const binds = await prepareBinds(step, ids)
      const cgroup = `${prefix}/${id}`
      const spec = buildSpec({ step, rootfs: places.merged, cgroup: `/${cgroup}`, arch, binds, userNamespace: ids })
      await writeFile(places.config, JSON.stringify(spec), { mode: 0o600 })
      const log = ['--log', places.log, '--log-format', 'json']
      try {
        const runc = ['runc', '--root', places.state, ...log, 'run', '--bundle', step.folder, id]
        const result = await runInOverlay(step, ids, runc)
        const failure = result.exitCode === 0 ? undefined : await runcFailure(places.log)
        if (failure !== undefined) {
          throw new GibilError(
            'driver_failed',
            `The command could not be started: ${failure.replace(/^.*: exec: /, 'exec: ')}`,
          )
        }
        if (result.exitCode === undefined) {
          throw new GibilError('driver_failed', 'The command was killed from outside.', {
            details: { log: result.tail },
          })
        }
        await removeMountPoints(places.upper)
        const shifted = join(places.secret, 'tree')
        if (ids && result.exitCode === 0) await shiftTree(places.upper, shifted, ids, { env, signal: step.signal })
        return { exitCode: result.exitCode, tail: result.tail, tree: ids ? shifted : places.upper }
      } finally {
        await removeCgroup(cgroup)
        for (const path of [places.work, places.state, places.merged, places.log, places.config]) {
          await rm(path, { recursive: true, force: true })
        }
      }
    },
  }
}
