import { mkdir } from 'node:fs/promises'
import type { DriverOptions } from '@gibil/core'
import { onHost, throwIfAborted, uidBaseOf } from '@gibil/host'
import type { BoxFile } from './box-file.ts'
import type { Context } from './context.ts'
import { identify, identityOf } from './control.ts'
import { thaw, thawing } from './frozen.ts'
import type { Frozen } from './frozen-machine.ts'
import { readConsole, startMachine } from './machine.ts'
import { boxPaths } from './names.ts'
import { qemuArgs } from './qemu-args.ts'

/**
 * Makes the machine of a box whose disk is there run, as a copy of a frozen one or by a boot, and gives it its identity. Returns its
 * process id.
 */
export async function bringUp(
  context: Context,
  verb: 'create' | 'start',
  box: BoxFile,
  frozen: Frozen | undefined,
  options: DriverOptions,
): Promise<number> {
  const { names, network } = context
  const { spec, slot } = box
  const paths = boxPaths(names, spec.id)
  const machine = { id: spec.id, paths }
  const machinery = await phase(options, 'machinery', 'prepared what machines are made of', () => context.machinery())
  await context.step(`${verb}.run-dir`)
  await onHost('made the run directory', () => mkdir(paths.run, { recursive: true, mode: 0o700 }))
  await context.step(`${verb}.machine`)
  const { pid, monitor } = await phase(options, 'machine', "started the box's machine", async () => {
    const from = frozen && (await thawing(context, frozen))
    await network.refreshResolver()
    return startMachine(context, {
      machine,
      size: spec.size,
      argv: qemuArgs({
        ...machinery,
        size: spec.size,
        disk: paths.disk,
        memory: from?.memory ?? { kind: 'fresh' },
        uid: uidBaseOf(network.uidBlock, slot),
        incoming: from !== undefined,
      }),
      link: spec.network === 'none' ? undefined : { policy: spec.network, slot },
      files: from?.files,
      signal: options.signal,
    })
  })
  try {
    if (frozen) await phase(options, 'thaw', 'loaded the frozen machine', () => thaw(monitor))
    await context.step(`${verb}.identity`)
    await phase(options, frozen ? 'identity' : 'boot', 'waited for the box', () =>
      identify(context, machine, pid, identityOf(context, spec, slot, verb === 'create'), options.signal),
    )
  } catch (error) {
    context.log('warn', 'a machine did not come up', { id: spec.id, console: await readConsole(monitor) })
    throw error
  } finally {
    monitor.close()
  }
  return pid
}

/** One part of a verb: not begun after a cancel, timed, and what it throws names it. */
export async function phase<T>(options: DriverOptions, name: string, what: string, task: () => Promise<T>): Promise<T> {
  throwIfAborted(options.signal)
  const begun = performance.now()
  const result = await onHost(what, task)
  options.trace?.(name, performance.now() - begun)
  return result
}
