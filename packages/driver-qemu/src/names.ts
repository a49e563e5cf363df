import { join } from 'node:path'
import { assertBoxId, type HomeNames } from '@gibil/host'
import { microvm, namesOf } from './model.ts'

export const microvmNames = (home: string): HomeNames => namesOf(microvm, home)

/** The places of one machine that runs, in /run: sockets, process id, what QEMU says. */
export interface MachinePaths {
  readonly run: string
  readonly pidFile: string
  /** Short enough for a unix socket address (108 bytes), which a path in the home need not be. */
  readonly control: string
  readonly monitor: string
  /** Where the guest's memory lies in the process. */
  readonly region: string
  readonly console: string
  readonly log: string
  /** Where a disk is mounted while it is filled. */
  readonly tree: string
}

/** The places of one box; those of its machine are made at each start. */
export interface BoxPaths extends MachinePaths {
  /** In the home, kept over stop, start and reboot: `box.json`, the disk that it names, and a paused machine. */
  readonly kept: string
  readonly boxFile: string
}

export function boxPaths(names: HomeNames, id: string): BoxPaths {
  assertBoxId(id)
  const kept = join(names.boxesDir, id)
  return {
    kept,
    boxFile: join(kept, 'box.json'),
    ...machinePaths(join(runBoxesDir(names), id)),
  }
}

function machinePaths(run: string): MachinePaths {
  return {
    run,
    pidFile: join(run, 'pid'),
    control: join(run, 'boxd.sock'),
    monitor: join(run, 'qmp.sock'),
    region: join(run, 'memory.json'),
    console: join(run, 'console.sock'),
    log: join(run, 'qemu.log'),
    tree: join(run, 'tree'),
  }
}

/** One process that is a machine: a box, or one that is booted to be frozen. */
export interface Machine {
  /** Of its cgroups too. One that is no box has an id that no box can have. */
  readonly id: string
  readonly paths: MachinePaths
}

export const boxMachine = (names: HomeNames, id: string): Machine => ({ id, paths: boxPaths(names, id) })

const frozenPrefix = 'frozen.'

export const freezingMachine = (names: HomeNames, key: string): Machine => ({
  id: `${frozenPrefix}${key}`,
  paths: machinePaths(join(freezingDir(names), key)),
})

export const isFreezing = (id: string): boolean => id.startsWith(frozenPrefix)
export const freezingDir = (names: HomeNames): string => join(names.runDir, 'freezing')
export const runBoxesDir = (names: HomeNames): string => join(names.runDir, 'boxes')
