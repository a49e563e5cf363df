import { join } from 'node:path'
import { assertBoxId, type HomeNames } from '@gibil/host'

/** The places of one box. */
export interface BoxPaths {
  /** In the home, kept over stop, start and reboot: `box.json` and `disk.img`. */
  readonly kept: string
  readonly boxFile: string
  readonly diskImage: string
  /** During a restore: the disk that the box will have, and the one that it had. */
  readonly nextDiskImage: string
  readonly formerDiskImage: string
  /** In /run, made at each start: mounts, bundle, socket. Only root and this box's own root may pass through. */
  readonly run: string
  readonly disk: string
  readonly upper: string
  readonly work: string
  readonly rootfs: string
  /** Where the volumes of the box are mounted for it, one directory each. */
  readonly volumes: string
  readonly bundle: string
  readonly pidFile: string
  /** Short enough for a unix socket address (108 bytes), which a path in the home need not be. */
  readonly socket: string
  /** On the box's own disk: what its first process prints counts as the box's, and cannot fill the host. */
  readonly log: string
  /** A directory that a box in gVisor shares with the host, and boxd's socket in it: all there is the box's, and may be anything. */
  readonly sharedDir: string
  readonly sharedSocket: string
  /** State of the runtime of a box in gVisor, which is kept in files of several names. */
  readonly gvisorRoot: string
  readonly netns: string
  /** A symbolic link to nowhere that tells the name of the box's link, should `box.json` be lost. */
  readonly link: string
}

export function boxPaths(names: HomeNames, id: string): BoxPaths {
  assertBoxId(id)
  const kept = join(names.boxesDir, id)
  const run = join(names.runDir, 'boxes', id)
  const disk = join(run, 'disk')
  return {
    kept,
    boxFile: join(kept, 'box.json'),
    diskImage: join(kept, 'disk.img'),
    nextDiskImage: join(kept, 'next-disk.img'),
    formerDiskImage: join(kept, 'former-disk.img'),
    run,
    disk,
    upper: join(disk, 'upper'),
    work: join(disk, 'work'),
    rootfs: join(run, 'rootfs'),
    volumes: join(run, 'volumes'),
    bundle: join(run, 'bundle'),
    pidFile: join(run, 'pid'),
    socket: join(run, 'boxd.sock'),
    log: join(disk, 'console.log'),
    sharedDir: join(run, 'shared'),
    sharedSocket: join(run, 'shared', 'boxd.sock'),
    gvisorRoot: join(run, 'gvisor'),
    netns: `${names.prefix}-${id}`,
    link: join(run, 'link'),
  }
}
