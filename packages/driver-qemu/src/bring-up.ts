import { mkdir } from 'node:fs/promises'
import type { Identity } from '@gibil/boxd-client'
import type { DriverOptions } from '@gibil/core'
import { onHost, throwIfAborted, uidBaseOf } from '@gibil/host'
import { type BoxFile, diskOf } from './box-file.ts'
import type { Context } from './context.ts'
import { identify } from './control.ts'
import { startMachine, whyItFailed } from './machine.ts'
import { boxPaths } from './names.ts'
import { qemuArgs } from './qemu-args.ts'
import { loadState, type SavedMachine } from './saved.ts'
import { awaitStartUp } from './start-up.ts'

interface Begin {
  readonly verb: 'create' | 'start' | 'resume' | 'restore'
  /** What it goes on from; without it the machine boots. */
  readonly from?: SavedMachine | undefined
  readonly identity: Identity
  /** Done beside the start of the machine and before its guest runs; when it throws, the guest never does. */
  readonly beside?: (() => Promise<void>) | undefined
  /** Done last before the guest runs. */
  readonly before?: (() => Promise<void>) | undefined
  /** Fills its disk while it boots. */
  readonly fill?: ((pid: number) => Promise<void>) | undefined
}

/**
 * Makes the machine of a box whose disk is there run, as a copy of a saved one or by a boot, and gives it its identity. Returns its
 * process id.
 */
export async function bringUp(
  context: Context,
  box: BoxFile,
  { verb, from, identity, beside, before, fill }: Begin,
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
  const checked = beside?.()
  // It is waited for only once the machine is there.
  checked?.catch(() => undefined)
  const { pid, monitor } = await phase(options, 'machine', "started the box's machine", async () => {
    await network.refreshResolver()
    await network.setEgress(slot, spec.egress)
    return startMachine(context, {
      machine,
      size: spec.size,
      argv: qemuArgs({
        ...machinery,
        model: context.model,
        size: spec.size,
        disk: diskOf(paths, box),
        uid: machineUid(context, slot),
        console: paths.console,
        incoming: from !== undefined,
        waits: fill !== undefined,
      }),
      link: spec.network === 'none' ? undefined : { policy: spec.network, slot },
      from,
      signal: options.signal,
    })
  }).catch(async (error: unknown) => {
    // It may not start since what it begins from is damaged, which says more.
    await checked
    throw error
  })
  try {
    if (checked) await phase(options, 'check', 'checked what was saved', () => checked)
    if (from) await phase(options, 'thaw', 'loaded the saved machine', () => loadState(monitor))
    await before?.()
    await monitor.run('cont')
    await fill?.(pid)
    await context.step(`${verb}.identity`)
    await phase(options, from || fill ? 'identity' : 'boot', 'waited for the box', () =>
      identify(context, machine, pid, identity, options.signal),
    )
    if (from === undefined && context.model.hasInit) {
      await phase(options, 'start-up', 'waited for its services', () => awaitStartUp(context, machine, options))
    }
  } catch (error) {
    options.signal?.throwIfAborted()
    // What it begins from may be damaged, which says more.
    await checked
    const failure = await whyItFailed(context, machine, pid, 'did not come up', error)
    const { lives, ...facts } = failure.details ?? {}
    context.log('warn', 'a machine did not come up', { id: spec.id, error: String(error), lives, ...facts })
    throw lives === true ? error : failure
  } finally {
    monitor.close()
  }
  return pid
}

/** The user that a box's machine is to the host. */
export const machineUid = (context: Context, slot: number): number => uidBaseOf(context.network.uidBlock, slot)

/** One part of a verb: not begun after a cancel, timed, and what it throws names it. */
export async function phase<T>(options: DriverOptions, name: string, what: string, task: () => Promise<T>): Promise<T> {
  throwIfAborted(options.signal)
  const begun = performance.now()
  const result = await onHost(what, task)
  options.trace?.(name, performance.now() - begun)
  return result
}
