import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mustRun, privateDirtyBytes } from '../process.ts'
import { createSamples, pick, timed } from './measure.ts'
import type { Bench, Measured } from './row.ts'

/** As for microvms. */
const idleMs = 2000
const idleBoxes = 3

/** From nothing to the first output of a command in a machine with systemd, SSH and Docker, of the size that a box has without one. */
export async function fullMachines({ gibil, sizes, say }: Bench): Promise<Measured> {
  const samples = createSamples()
  const { note } = samples
  const create = () => gibil.sdk.create({ shape: 'vm', ttl: '2h' })
  say('vm: booting and freezing a machine')
  const first = await timed(create)
  note('first', first.ms)
  await first.result.destroy()
  const frozen = await mustRun(['du', '--summarize', '--block-size=1M', join(gibil.home, 'vm/cache/frozen')])
  note('frozen', Number.parseInt(frozen, 10))
  say(`vm: ${sizes.vms} boxes`)
  for (let round = 0; round < sizes.vms; round += 1) {
    const begun = performance.now()
    const box = await create()
    const hello = () => box.run(['echo', 'hello'], { check: true })
    note('create', performance.now() - begun)
    await hello()
    note('output', performance.now() - begun)
    note('second', (await timed(hello)).ms)
    if (round < idleBoxes) {
      await sleep(idleMs)
      note('idle', (await privateDirtyBytes(await gibil.pidsOf(box))) / 1024 ** 2)
    }
    await box.destroy()
  }
  const middle = samples.medians()
  const row = (name: string, unit: 'ms' | 'MiB', what: string) => ({
    name,
    unit,
    values: pick(middle, { gibil: what }),
  })
  return {
    rows: [
      row('vm: create to first output (aim: 3,000)', 'ms', 'output'),
      row('vm: create', 'ms', 'create'),
      row('vm: the second command', 'ms', 'second'),
      row('vm: the first of its size, which boots and is frozen', 'ms', 'first'),
      row('vm: memory of an idle box alone (private dirty)', 'MiB', 'idle'),
      row('vm: a frozen machine on the disk', 'MiB', 'frozen'),
    ],
    details: { medians: middle, samples: samples.all() },
  }
}
