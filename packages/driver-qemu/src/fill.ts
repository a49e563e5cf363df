import { randomBytes } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError, TreeReport } from '@gibil/contract'
import type { DriverOptions, DriverSpec, FillDisk } from '@gibil/core'
import { isUp, lastLine, onHost, parseJson, throwIfAborted } from '@gibil/host'
import { execa } from 'execa'
import { type BoxFile, diskOf, firstDisk, writeBoxFile } from './box-file.ts'
import { bringUp, phase } from './bring-up.ts'
import type { Context } from './context.ts'
import { identityOf } from './control.ts'
import { flush } from './copy.ts'
import { boxPaths } from './names.ts'
import { filledDisk } from './stands-on.ts'

export interface Made {
  readonly box: BoxFile
  readonly pid: number
}

/** boxd/internal/guest/wait.go: by this, at its very begin, a disk says that it is filled; and by that the machine, on its console, that it waits for it. */
const filledMark = 'gibil: filled\n'
const waiting = 'gibil: waits for its disk'
const lookMs = 10
/** More than a report with a hundred long names. */
const outputKept = 4 * 1024 ** 2
/** Nobody needs it if the host dies before it is whole, and then it is flushed once. */
const unflushed = 'barrier=0'

/**
 * A box whose disk is filled on the host while its machine boots, so that what is left to do then is to mount it. The machine sees a disk that stands on the
 * filled one, as that of any box stands on one of an image, and never has the filled one to write to.
 */
export async function filled(
  context: Context,
  spec: DriverSpec,
  slot: number,
  fill: FillDisk,
  options: DriverOptions,
): Promise<Made> {
  const { hostkit, names } = context
  const paths = boxPaths(names, spec.id)
  const below = filledDisk(names, spec.id, randomBytes(4).toString('hex'))
  const box: BoxFile = { version: 1, phase: 'creating', slot, standsOn: [below], disk: firstDisk, spec }
  await context.step('create.box-file')
  await onHost('noted the box', async () => {
    await mkdir(paths.kept, { recursive: true, mode: 0o700 })
    await writeBoxFile(paths, box)
  })
  await context.step('create.disk')
  await phase(options, 'disk', "made the box's disk", async () => {
    const backing = await context.disks.empty(below, spec.size.diskMib)
    await context.disks.overlay(diskOf(paths, box), backing, spec.size.diskMib)
    await mkdir(paths.run, { recursive: true, mode: 0o700 })
    await hostkit.diskMount({ image: below, target: paths.tree, options: unflushed })
  })
  const identity = identityOf(context, spec, slot, true)
  let flushed: Promise<void> | undefined
  const pid = await bringUp(context, box, { verb: 'create', identity, fill: fillAndTell }, options)
  await phase(options, 'flush', "flushed the box's disk", async () => flushed)
  return { box, pid }

  async function fillAndTell(pid: number): Promise<void> {
    const ready = () => phase(options, 'boot', 'waited for the machine', () => untilItWaits(context, spec.id, pid))
    await fill((tar) => lay(context, paths.tree, tar, options.signal), ready)
    await phase(options, 'disk', "finished the box's disk", async () => {
      const { lazy } = await hostkit.unmount({ target: paths.tree })
      if (lazy) throw new GibilError('driver_failed', `The disk of box ${spec.id} is still in use on the host.`)
      await tell(below)
    })
    flushed = flush(below)
    // It is waited for only once the machine is there.
    flushed.catch(() => undefined)
  }
}

/** What comes from a box is read by a process that sees nothing of the host but that directory. */
async function lay(
  { boxdBinary }: Context,
  directory: string,
  tar: Readable,
  signal: AbortSignal | undefined,
): Promise<TreeReport> {
  const result = await execa(boxdBinary, ['--fill', directory], {
    reject: false,
    input: tar,
    env: {},
    extendEnv: false,
    maxBuffer: outputKept,
    killSignal: 'SIGKILL',
    ...(signal ? { cancelSignal: signal } : {}),
  })
  throwIfAborted(signal)
  const report = TreeReport.safeParse(parseJson(String(result.stdout)))
  if (result.exitCode === 0 && report.success) return report.data
  if (tar.errored) throw GibilError.from(tar.errored, 'driver_failed')
  const stderr = String(result.stderr)
  if (stderr.includes('no space left on device')) {
    throw new GibilError('invalid_size', 'The files of the box do not fit on its new disk.', {
      hint: 'Give it a larger one: --disk. The box is as it was.',
    })
  }
  throw new GibilError('driver_failed', `The files of the box could not be put on its disk: ${lastLine(stderr)}`, {
    details: { stderr },
  })
}

async function untilItWaits({ consoles, model }: Context, id: string, pid: number): Promise<void> {
  const deadline = performance.now() + model.bootMs
  while (!consoles.text(id).includes(waiting)) {
    if (!(await isUp(pid))) throw new GibilError('driver_failed', `The machine of box ${id} ended while it booted.`)
    if (performance.now() > deadline) {
      throw new GibilError('driver_failed', `The machine of box ${id} did not boot within ${model.bootMs / 1000} s.`)
    }
    await sleep(lookMs)
  }
}

async function tell(disk: string): Promise<void> {
  const file = await open(disk, 'r+')
  try {
    await file.write(filledMark, 0)
  } finally {
    await file.close()
  }
}
