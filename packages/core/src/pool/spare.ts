import { GibilError } from '@gibil/contract'
import type { Making } from '../box-record.ts'
import type { BoxdAccess } from '../plane/boxd-access.ts'
import type { ControlPlaneDeps, Policy } from '../plane/deps.ts'
import type { BoxdPort } from '../ports/boxd.ts'
import type { Driver, ResolvedImage } from '../ports/driver.ts'
import { within } from '../util/timing.ts'

/** How a box is made, by the name of its image: what the name means may change while spares of it are kept. */
export type Wish = Pick<Making, 'shape' | 'provider' | 'image' | 'size'>

/** A box that is nobody's yet. */
export interface Spare {
  readonly id: string
  readonly key: string
  readonly digest: string
  readonly driver: Driver
  state: 'making' | 'ready' | 'taken' | 'going'
}

export const keyOf = ({ shape, provider, image, size }: Wish): string =>
  JSON.stringify([provider, shape, image, size.cpu, size.memoryMib, size.diskMib])

/** What of a spare may be changed when it is handed out, and what a box with another wish cannot be made of. */
const usualSpec = { network: 'internet', isolation: 'namespaces', labels: {} } as const

/** What a spare is called until it is somebody's. */
export const spareHostname = 'spare'
/** How long the smallest program may take on a busy host. */
const warmUpMs = 10_000

interface Forging {
  readonly id: string
  readonly image: ResolvedImage
  readonly driver: Driver
  readonly wish: Wish
  readonly signal: AbortSignal
}

interface Where {
  readonly deps: Pick<ControlPlaneDeps, 'clock'>
  readonly policy: Pick<Policy, 'bootMs'>
  readonly boxd: BoxdAccess
}

/** Makes a spare and waits until its first command would be quick. What there is of it when this throws is for the caller to remove. */
export async function forge(
  { deps, policy, boxd }: Where,
  { id, image, driver, wish, signal }: Forging,
): Promise<void> {
  await driver.create({ ...usualSpec, id, hostname: spareHostname, image, size: wish.size }, { signal })
  const reached = boxd.of({ ...wish, id, startedAt: deps.clock.now() }, signal)
  await within(deps.clock, policy.bootMs, 'The first answer of boxd', warmUp(reached, image))
}

/** What a first command is most often: a line for the shell, that starts a small program. An image without it has the other, or goes without. */
const firstCommands = [['bash', '-c', 'echo | cat'], ['true']] as const

/**
 * Lets a box do once what its first command will do, and leaves no trace of it: programs and libraries are then known to it, and an emulator has
 * translated them.
 */
async function warmUp(boxd: BoxdPort, image: ResolvedImage): Promise<void> {
  await boxd.health()
  for (const argv of firstCommands) {
    try {
      await boxd.exec({ argv, user: image.user ?? '0:0', cwd: '/', timeoutMs: warmUpMs }, () => undefined)
      break
    } catch (error) {
      if (!GibilError.is(error) || error.code !== 'command_not_found') throw error
    }
  }
  for (const { id } of await boxd.jobs()) await boxd.forgetJob(id)
}
