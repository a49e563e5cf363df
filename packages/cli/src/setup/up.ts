import { type BoxHandle, Gibil, GibilError, type Shape } from '@gibil/sdk'
import { buildBinaries } from './binaries.ts'
import { type DaemonProcess, type DaemonSettings, runningDaemon, startDaemon, stopDaemon } from './daemon-process.ts'
import { type HostTool, hostTools, installPackages, microvmTools, missingTools, testTools } from './host-packages.ts'
import type { Steps } from './steps.ts'

/** Shapes that a first box may have. */
export const setUpShapes = ['container', 'microvm', 'vm', 'managed'] as const
export type SetUpShape = (typeof setUpShapes)[number]

interface Preparation {
  readonly shape: SetUpShape
  readonly forTests?: boolean
}

/** The first box of each shape, and the recipe of its image. */
const firstBoxes: Readonly<Record<SetUpShape, { readonly name: string; readonly recipe: string }>> = {
  container: { name: 'first', recipe: 'base' },
  microvm: { name: 'first-microvm', recipe: 'base' },
  vm: { name: 'first-vm', recipe: 'vm' },
  managed: { name: 'first-managed', recipe: 'workstation' },
}
/** `managed` is a vm. */
const shapeOf = (shape: SetUpShape): Shape => (shape === 'managed' ? 'vm' : shape)
const firstCommand = 'echo "Hello from $(hostname), $(. /etc/os-release && echo $PRETTY_NAME), as $(whoami)"'

/** Packages and our own programs: what must be there before a daemon can start. */
export async function prepareHost(steps: Steps, { shape, forTests = false }: Preparation): Promise<void> {
  const wanted: readonly HostTool[] = [
    ...hostTools,
    ...(shape === 'container' ? [] : microvmTools),
    ...(forTests ? testTools : []),
  ]
  await steps.run('host packages', async (say) => {
    const missing = await missingTools(wanted)
    if (missing.length === 0) return 'all there'
    const names = missing.map((tool) => tool.package).join(', ')
    say(`installing ${names}`)
    await installPackages(missing)
    return `installed ${names}`
  })
  await steps.run('boxd and hostkit', async () => {
    const built = await buildBinaries()
    return built.length === 0 ? 'up to date' : `built ${built.join(', ')}`
  })
}

/** The daemon of this home, started when it does not run, and anew when it began before what the shape needs was there. */
export async function startedDaemon(
  home: string,
  settings: DaemonSettings,
  steps: Steps,
  shape: SetUpShape,
): Promise<DaemonProcess> {
  const lacks = ({ shapes }: DaemonProcess): boolean =>
    shapes.some((one) => one.shape === shapeOf(shape) && one.unavailable?.code === 'missing_tool')
  return steps.run(
    'daemon',
    async (say) => {
      const running = await runningDaemon(home)
      if (running === undefined) return { ...(await startDaemon(home, settings)), how: 'started' }
      if (running !== 'other' && !lacks(running)) return { ...running, how: 'running' }
      const other = running === 'other' ? 'another version' : `one without ${shape}`
      say(`stopping ${other}; boxes go on`)
      await stopDaemon(home)
      return { ...(await startDaemon(home, settings)), how: `started in place of ${other}` }
    },
    (daemon) => `${daemon.how}, process ${daemon.pid}`,
  )
}

/** From a running daemon to a box that has run a command. Each step does nothing when it is done already. */
export async function bringUp(home: string, steps: Steps, shape: SetUpShape): Promise<{ box: string; output: string }> {
  await using gibil = Gibil.connect({ home })
  await assertShape(gibil, shape)
  const { recipe } = firstBoxes[shape]
  await steps.run(`${recipe} image`, async (say) => {
    const image = await gibil.images.build(
      { name: recipe, recipe },
      { onProgress: (progress) => say(progress.message ?? progress.phase) },
    )
    return image.digest.slice(0, 19)
  })
  const box = await steps.run(
    'first box',
    (say) => firstBox(gibil, shape, say),
    (handle) => handle.name,
  )
  const output = await steps.run(
    'first command',
    async () => (await box.run(firstCommand, { check: true })).stdout.trim(),
    () => 'ran',
  )
  return { box: box.name, output }
}

/** Throws why this host can make no such box, if it cannot: an image would be built for nothing. */
async function assertShape(gibil: Gibil, shape: SetUpShape): Promise<void> {
  // Answered only once the daemon knows what its host can do.
  await gibil.list()
  const { shapes } = await gibil.version()
  const error = shapes.find((one) => one.shape === shapeOf(shape))?.unavailable
  if (error) throw GibilError.fromBody({ error }, error.message)
}

/** The box that shows that all works; the one of an earlier time is used again while it runs. */
async function firstBox(gibil: Gibil, shape: SetUpShape, say: (text: string) => void): Promise<BoxHandle> {
  const { name } = firstBoxes[shape]
  try {
    const box = await gibil.get(name)
    const info = await box.info()
    if (info.status === 'running' && info.readiness === 'ready') return box
    say(`the old one is ${info.status}; forging another`)
    await box.destroy()
  } catch (error) {
    if (!(GibilError.is(error) && error.code === 'box_not_found')) throw error
  }
  return gibil.create({ name, shape }, { onProgress: (p) => say(p.message ?? p.phase) })
}
