import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, rm, rmdir, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { buildCgroup, removeCgroup } from './build-cgroup.ts'
import type { BuildRunner, BuildStep } from './build-runner.ts'
import { parseJson, readIfThere } from './files.ts'
import { overlayArguments } from './overlay.ts'
import { buildSpec } from './runc-spec.ts'
import { type HostEnv, runTool } from './tool.ts'
import { makeFolder } from './unpack.ts'

export interface RuncRunnerOptions {
  readonly env: HostEnv
  /** Folder of the store; cgroup names derive from it, so that two homes share nothing. */
  readonly root: string
  /** As `process.arch`. */
  readonly arch: string
}

/** Mounts the overlay and becomes runc, all inside namespaces of its own: the mount is seen by nobody else and cannot be left behind. */
const mountThenRun = 'cd "$1" && shift && "$1" -t overlay overlay -o "$2" "$3" && shift 3 && cd / && exec "$@"'

/** The last error in runc's own log: it could not start the command. */
const runcFailure = async (log: string): Promise<string | undefined> => {
  const RuncLine = z.object({ level: z.string(), msg: z.string() })
  const lines = ((await readIfThere(log)) ?? '').split('\n').map((line) => RuncLine.safeParse(parseJson(line)).data)
  return lines.findLast((line) => line?.level === 'error')?.msg
}

/** What runc makes in a file system that lacks its mount points does not belong to the image. */
const removeMountPoints = async (upper: string): Promise<void> => {
  for (const path of ['proc', 'sys', 'dev']) await rmdir(join(upper, path)).catch(() => undefined)
  for (const path of ['etc/resolv.conf', 'etc/hosts']) {
    const file = await stat(join(upper, path)).catch(() => undefined)
    if (file?.isFile() && file.size === 0) await unlink(join(upper, path))
  }
}

const resolvConfOf = async (step: BuildStep): Promise<string> => {
  if (step.network.kind === 'namespace') return step.network.resolvConf
  return step.network.kind === 'host' ? readFile('/etc/resolv.conf', 'utf8') : ''
}

/**
 * Runs build steps by runc: own pid, mount, ipc, uts, cgroup and network namespaces, Docker's set of capabilities, a seccomp
 * filter, masked paths, a limit on processes.
 */
export const createRuncRunner = (options: RuncRunnerOptions): BuildRunner => {
  const prefix = buildCgroup(options.root)
  return {
    run: async (step) => {
      const id = `${prefix}-${randomBytes(6).toString('hex')}`
      const place = (name: string): string => join(step.folder, name)
      const target = place('merged')
      const writable = { upper: place('upper'), work: place('work') }
      for (const path of [target, writable.upper, writable.work, place('runc')])
        await mkdir(path, { recursive: true, mode: 0o755 })
      await chmod(step.folder, 0o711)
      await writeFile(place('resolv.conf'), await resolvConfOf(step), { mode: 0o644 })
      await writeFile(place('hosts'), '127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tbuild\n', { mode: 0o644 })
      const scratch = (step.scratch ?? []).map((path, at) => ({
        source: place(`scratch-${at}`),
        target: path,
        executable: true,
        writable: true,
      }))
      for (const { source } of scratch) await makeFolder(source, 0o755)
      // An overlay needs a layer below.
      if (step.layers.length === 0) await makeFolder(place('nothing'), 0o755)
      const binds = [
        { source: place('resolv.conf'), target: '/etc/resolv.conf' },
        { source: place('hosts'), target: '/etc/hosts' },
        ...(step.files ?? []),
        ...scratch,
      ]
      const spec = buildSpec({ step, rootfs: target, cgroup: `/${prefix}/${id}`, arch: options.arch, binds })
      await writeFile(place('config.json'), JSON.stringify(spec), { mode: 0o600 })
      const { cwd, argv } = overlayArguments({
        target,
        lower: step.layers.length > 0 ? step.layers : [place('nothing')],
        writable,
      })
      const overlay = argv.at(5) ?? ''
      const log = ['--log', place('runc.log'), '--log-format', 'json']
      const runc = ['runc', '--root', place('runc'), ...log, 'run', '--bundle', step.folder, id]
      try {
        const result = await runTool(['sh', '-c', mountThenRun, 'sh', cwd, 'mount', overlay, target, ...runc], {
          env: options.env,
          signal: step.signal,
          contained: true,
          onLine: step.onLine,
        })
        await removeMountPoints(writable.upper)
        const failure = result.exitCode === 0 ? undefined : await runcFailure(place('runc.log'))
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
        return { exitCode: result.exitCode, tail: result.tail }
      } finally {
        await removeCgroup(`${prefix}/${id}`)
        for (const path of [place('work'), place('runc'), place('merged'), place('runc.log'), place('config.json')]) {
          await rm(path, { recursive: true, force: true })
        }
      }
    },
  }
}
