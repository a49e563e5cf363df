import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError } from '@gibil/contract'
import { dialShared, lastLine, locate } from '@gibil/host'
import type { BoxPaths } from './box-paths.ts'
import type { Context } from './context.ts'
import { type OciSpec, socketDirInBox } from './oci-spec.ts'
import { probe, type RuntimeDeps, recall } from './runtime.ts'

/**
 * Boxes in gVisor: the same disk, root file system, network link, ids and cgroup as any other, with `runsc` as the runtime. Its process takes every
 * system call of the box, so that the host's kernel sees those of one process under a narrow filter only (ADR 13).
 */
export const installGvisor = 'Install it: `apt-get install runsc`, or see gvisor.dev/docs/user_guide/install.'

/** The path of a runsc that really runs a box on this host. Throws `missing_tool`, `host_unfit`. */
export async function chooseGvisor(deps: Omit<RuntimeDeps, 'candidates'>, name = 'runsc'): Promise<string> {
  const path = locate(name)
  if (path === undefined) throw missing()
  return recall(deps, 'gvisor.json', [path], async () => {
    const failure = await probe(deps, (root) => [path, ...gvisorFlags(root, false)], gvisorSpec)
    if (failure === undefined) return path
    throw new GibilError('host_unfit', `${path} is installed but cannot run a box: ${lastLine(failure)}`, {
      hint: 'Install a newer one (gvisor.dev/docs/user_guide/install), or leave --isolation out.',
      details: { failure },
    })
  })
}

function missing(): GibilError {
  return new GibilError('missing_tool', 'This host has no runsc, which a box with --isolation gvisor runs in.', {
    hint: `${installGvisor} Or leave --isolation out.`,
  })
}

/**
 * The configuration as gVisor takes it. Its /proc, /sys, message queues and cgroups are its own, and show nothing of the host. It takes no inherited
 * socket, so boxd makes one in a directory that it shares with the host.
 */
export function gvisorSpec(spec: OciSpec, socketDir: string): OciSpec {
  const kept = spec.mounts.filter(({ destination }) => !/^\/(sys|dev\/mqueue)(\/|$)/.test(destination))
  return {
    ...spec,
    mounts: [
      ...kept,
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['ro', 'nosuid', 'noexec', 'nodev'] },
      { destination: socketDirInBox, type: 'bind', source: socketDir, options: ['bind', 'rw', 'nosuid', 'nodev'] },
    ],
  }
}

/**
 * The flags of runsc before its command. `overlay2=none`: what the box writes has to be on its own disk, where a stop keeps it. `network=none`
 * where there is no link; else gVisor takes the link's address into its own network stack.
 */
function gvisorFlags(root: string, routed: boolean): string[] {
  return ['--root', root, '--host-uds=create', '--overlay2=none', `--network=${routed ? 'sandbox' : 'none'}`]
}

/**
 * Create and start, with the settings in /proc/sys/net/core of the box's network hidden from the second: runsc before 2023 takes a network
 * namespace in which rmem_default is there for the host's own, and in newer kernels it is there in each. They are hidden in a mount
 * namespace that ends with the command, and not from the first, since no /proc may be mounted below one that is covered in parts.
 */
const startScript = `set -eu
netns=$1 bundle=$2 pid=$3 id=$4
shift 4
"$@" create --bundle "$bundle" --pid-file "$pid" "$id"
test -n "$netns" || exec "$@" start "$id"
exec unshare --mount --propagation private \\
  sh -euc 'nsenter --net="$0" mount -t tmpfs none /proc/sys/net/core; exec "$@"' "$netns" "$@" start "$id"`

export interface GvisorStart extends Pick<BoxPaths, 'bundle' | 'gvisorRoot' | 'pidFile'> {
  readonly runsc: string
  readonly netnsPath: string | undefined
  /** Names the sandbox's control socket, which all homes of the host share a name space of. */
  readonly name: string
}

export function gvisorStartCommand(start: GvisorStart): string[] {
  const { runsc, gvisorRoot, netnsPath, bundle, pidFile, name } = start
  const flags = gvisorFlags(gvisorRoot, netnsPath !== undefined)
  return ['sh', '-c', startScript, 'start-in-gvisor', netnsPath ?? '', bundle, pidFile, name, runsc, ...flags]
}

const answerTimeoutMs = 30_000

/** Waits until boxd has made its socket. Throws `driver_failed`. */
export async function untilAnswers(context: Pick<Context, 'cgroups'>, paths: BoxPaths, id: string): Promise<void> {
  const deadline = performance.now() + answerTimeoutMs
  for (;;) {
    try {
      const stream = await dialShared(paths.sharedSocket, id)
      stream.destroy()
      return
    } catch (error) {
      if (performance.now() > deadline || !(await context.cgroups.ids()).includes(id)) {
        throw new GibilError('driver_failed', `Box ${id} started in gVisor, but its boxd does not answer.`, {
          cause: error,
        })
      }
    }
    await sleep(5)
  }
}
