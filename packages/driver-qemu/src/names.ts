import { join } from 'node:path'
import { assertBoxId, type HomeNames, homeNames } from '@gibil/driver-container/host'

/**
 * What this driver's things on the host are called. It has a corner of the home to itself, and to the names of subnets, links, cgroups and rules
 * that corner is a home of its own: so this driver and that of containers never take each other's boxes for remains of theirs.
 */
export function microvmNames(home: string): HomeNames {
  return homeNames(join(home, 'microvm'))
}

/** The places of one box. */
export interface BoxPaths {
  /** In the home, kept over stop, start and reboot: `box.json` and `root.qcow2`. */
  readonly kept: string
  readonly boxFile: string
  readonly disk: string
  /** In /run, made at each start: sockets, process id, what QEMU says. */
  readonly run: string
  readonly pidFile: string
  /** Short enough for a unix socket address (108 bytes), which a path in the home need not be. */
  readonly control: string
  readonly monitor: string
  readonly log: string
}

export function boxPaths(names: HomeNames, id: string): BoxPaths {
  assertBoxId(id)
  const kept = join(names.boxesDir, id)
  const run = join(runBoxesDir(names), id)
  return {
    kept,
    boxFile: join(kept, 'box.json'),
    disk: join(kept, 'root.qcow2'),
    run,
    pidFile: join(run, 'pid'),
    control: join(run, 'boxd.sock'),
    monitor: join(run, 'qmp.sock'),
    log: join(run, 'qemu.log'),
  }
}

export const runBoxesDir = (names: HomeNames): string => join(names.runDir, 'boxes')
