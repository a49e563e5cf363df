import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, rm, symlink } from 'node:fs/promises'
import { GibilError } from '@gibil/contract'
import type { DriverOptions } from '@gibil/core'
import {
  addressOf,
  etcFiles,
  gatewayOf,
  linkName,
  macOf,
  onHost,
  readPid,
  runtimeError,
  throwIfAborted,
  writeEtcFiles,
  writeWhole,
} from '@gibil/host'
import type { MountView } from '@gibil/hostkit-client'
import { allSettled } from './all-settled.ts'
import { type BoxFile, cgroupPath, diskOwner, routedPolicy } from './box-file.ts'
import { type BoxPaths, boxPaths } from './box-paths.ts'
import type { Context } from './context.ts'
import { gvisorSpec, gvisorStartCommand, untilAnswers } from './gvisor.ts'
import { boxdPath, idsPerBox, ociSpec, socketDirInBox } from './oci-spec.ts'
import { processLimits } from './process-limits.ts'
import { startCommand } from './runtime.ts'
import { snapshotPaths } from './snapshot-file.ts'
import { mountVolumes, volumesOf } from './volumes.ts'

/** How long a runtime may take to start a box on a busy host. */
const startTimeoutMs = 60_000
/** Where hostkit keeps network namespaces by their names, as iproute2 does. */
const netnsDir = '/run/netns'

/**
 * Makes a box run: disk, network and configuration at the same time, then the root file system, then the runtime. What `create`,
 * `start` and `restore` share; the latter two find the disk there. Returns the id of the box's first process.
 */
export async function forge(
  context: Context,
  verb: 'create' | 'start' | 'restore',
  box: BoxFile,
  options: DriverOptions,
): Promise<number> {
  const { hostkit, names, network } = context
  const { spec, uidBase } = box
  const paths = boxPaths(names, spec.id)
  const phase = async <T>(name: string, what: string, task: () => Promise<T>): Promise<T> => {
    throwIfAborted(options.signal)
    const begun = performance.now()
    const result = await onHost(what, task)
    options.trace?.(name, performance.now() - begun)
    return result
  }

  const runsc = spec.isolation === 'gvisor' ? await context.gvisor() : undefined
  const netnsPath = spec.network === 'none' ? undefined : `${netnsDir}/${paths.netns}`
  await context.step(`${verb}.run-dir`)
  await onHost('made the run directory', async () => {
    await mkdir(paths.run, { mode: 0o710 })
    await Promise.all([
      // The box's root must be able to pass through to its root file system, and nobody else on the host.
      chown(paths.run, 0, uidBase),
      chmod(paths.run, 0o710),
      mkdir(paths.bundle, { mode: 0o700 }),
      mkdir(paths.rootfs, { mode: 0o755 }),
    ])
    if (runsc === undefined) return
    await mkdir(paths.sharedDir, { mode: 0o700 })
    await chown(paths.sharedDir, uidBase, uidBase)
  })

  const idmap = { base: uidBase, count: idsPerBox }
  await allSettled([
    hostkit.mountPrepare(idmap),
    phase('disk', "made the box's disk", async () => {
      if (verb === 'create') {
        await context.step('create.disk')
        await hostkit.diskCreate({
          image: paths.diskImage,
          sizeMib: spec.size.diskMib,
          from:
            spec.from === undefined
              ? await context.templates.get(spec.size.diskMib)
              : snapshotPaths(names, spec.from).diskImage,
        })
      }
      await context.step(`${verb}.disk-mount`)
      // A disk that came from another box is shown with this one's ids, and keeps its own.
      const owner = diskOwner(box)
      const shift = owner === uidBase ? {} : { idmap: { from: owner, base: uidBase, count: idsPerBox } }
      await hostkit.diskMount({ image: paths.diskImage, target: paths.disk, ...shift })
    }),
    ...(spec.volumes?.length ? [phase('volumes', "mounted the box's volumes", () => mountVolumes(context, box))] : []),
    phase('network', "made the box's network", async () => {
      await context.step(`${verb}.net`)
      const policy = routedPolicy(spec.network)
      if (policy === undefined) return
      const host = linkName(names, policy, box.slot)
      await symlink(host, paths.link)
      await network.setEgress(box.slot, spec.egress)
      await Promise.all([
        network.refreshResolver(),
        hostkit.netCreate({
          netns: paths.netns,
          host,
          guest: 'eth0',
          guestAddress: addressOf(network.subnet, box.slot),
          gateway: gatewayOf(network.subnet),
          mac: macOf(names.prefix.slice(-6), box.slot),
          mtu: network.mtu,
        }),
      ])
    }),
    phase('bundle', 'wrote the configuration of the runtime', async () => {
      await context.step(`${verb}.bundle`)
      const config = ociSpec(
        {
          hostname: spec.hostname,
          rootfs: paths.rootfs,
          args: [boxdPath, ...(runsc === undefined ? ['--fd', '3'] : ['--listen', `unix:${socketDirInBox}/boxd.sock`])],
          boxdBinary: context.boxdBinary,
          cgroupsPath: cgroupPath(names, spec.id),
          uidBase,
          size: spec.size,
          processes: processLimits(spec.size, context.pidsLimit),
          openFiles: context.openFiles,
          netns: netnsPath,
          env: {},
          arch: process.arch,
          volumes: volumesOf(context, box),
        },
        existsSync,
      )
      const adapted = runsc === undefined ? config : gvisorSpec(config, paths.sharedDir)
      await writeWhole(`${paths.bundle}/config.json`, JSON.stringify(adapted), { durable: false })
    }),
  ])

  await context.step(`${verb}.overlay`)
  await phase('rootfs', "mounted the box's root file system", () =>
    hostkit.mountOverlay({
      target: paths.rootfs,
      lower: spec.image.layers,
      upper: paths.upper,
      work: paths.work,
      idmap,
    }),
  )

  await context.step(`${verb}.etc`)
  const address = addressOfBox(context, box)
  if (verb !== 'start' || address !== box.address) {
    const gateway = gatewayOf(network.subnet)
    const files = etcFiles({ id: spec.id, hostname: spec.hostname, address, gateway })
    await phase('etc', 'wrote the names of the box into it', () => writeEtcFiles(paths.rootfs, uidBase, files))
  }

  await context.step(`${verb}.run`)
  return phase('runtime', 'started the box', async () => {
    await rm(paths.pidFile, { force: true })
    const { exitCode, stderr } = await hostkit.runStart(
      {
        argv:
          runsc === undefined
            ? startCommand(context, spec.id, paths.bundle, paths.pidFile)
            : gvisorStartCommand({ ...paths, runsc, netnsPath, name: `${names.prefix}-${spec.id}` }),
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
        cwd: '/',
        log: paths.log,
        ...(runsc === undefined ? { socket: paths.socket } : {}),
        timeoutMs: startTimeoutMs,
        mounts: mountsForRuntime(context, paths, box),
      },
      { signal: options.signal },
    )
    if (exitCode !== 0) throw runtimeError(spec.id, exitCode, stderr)
    const pid = await readPid(paths.pidFile)
    if (pid === undefined)
      throw new GibilError('driver_failed', `The OCI runtime did not say which process box ${spec.id} is.`)
    if (runsc !== undefined) await untilAnswers(context, paths, spec.id)
    return pid
  })
}

/**
 * What a runtime needs of the host's mounts. It copies and reads the whole table, which grows by three mounts for each box: with this, the
 * five hundredth starts as fast as the first.
 */
function mountsForRuntime(context: Context, paths: BoxPaths, box: BoxFile): MountView {
  const { runtime, boxdBinary, names } = context
  const netns = box.spec.network === 'none' ? [] : [netnsDir, `${netnsDir}/${paths.netns}`]
  return {
    keep: [runtime, boxdBinary, names.runDir],
    add: [...netns, paths.rootfs, ...volumesOf(context, box).map(({ source }) => source)],
  }
}

export function addressOfBox(context: Context, box: BoxFile): string | null {
  return box.spec.network === 'none' ? null : addressOf(context.network.subnet, box.slot)
}
