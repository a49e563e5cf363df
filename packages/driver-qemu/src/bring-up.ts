import { mkdir } from 'node:fs/promises'
import type { DriverOptions } from '@gibil/core'
import { onHost, throwIfAborted, uidBaseOf } from '@gibil/driver-container/host'
import type { BoxFile } from './box-file.ts'
import type { Context } from './context.ts'
import { identify, identityOf } from './control.ts'
import { readConsole, startMachine } from './machine.ts'
import { boxPaths } from './names.ts'
import { qemuArgs } from './qemu-args.ts'

/** Boots the machine of a box whose disk is there, and gives it its identity. Returns its process id. */
export async function bringUp(
  context: Context,
  verb: 'create' | 'start',
  box: BoxFile,
  options: DriverOptions,
): Promise<number> {
  const { network } = context
  const { spec, slot } = box
  const paths = boxPaths(context.names, spec.id)
  const phase = async <T>(name: string, what: string, task: () => Promise<T>): Promise<T> => {
    throwIfAborted(options.signal)
    const begun = performance.now()
    const result = await onHost(what, task)
    options.trace?.(name, performance.now() - begun)
    return result
  }
  const machinery = await phase('machinery', 'prepared what machines are made of', () => context.machinery())
  await context.step(`${verb}.run-dir`)
  await onHost('made the run directory', () => mkdir(paths.run, { recursive: true, mode: 0o700 }))
  await context.step(`${verb}.machine`)
  await network.refreshResolver()
  const { pid, monitor } = await phase('machine', "started the box's machine", () =>
    startMachine(context, {
      id: spec.id,
      paths,
      size: spec.size,
      argv: qemuArgs({
        ...machinery,
        size: spec.size,
        disk: paths.disk,
        memory: { kind: 'fresh' },
        uid: uidBaseOf(network.uidBlock, slot),
        incoming: false,
      }),
      link: spec.network === 'none' ? undefined : { policy: spec.network, slot },
      signal: options.signal,
    }),
  )
  try {
    await context.step(`${verb}.identity`)
    await phase('boot', 'waited for the box to boot', () =>
      identify(context, spec.id, pid, identityOf(context, spec, slot, verb === 'create'), options.signal),
    )
  } catch (error) {
    const printed = await readConsole(monitor)
    context.log('warn', 'a machine did not come up', { id: spec.id, console: printed })
    throw error
  } finally {
    monitor.close()
  }
  return pid
}
