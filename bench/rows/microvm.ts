import { setTimeout as sleep } from 'node:timers/promises'
import type { GibilSubject } from '../gibil.ts'
import { privateDirtyBytes } from '../process.ts'
import { startQemuFloor } from '../qemu-floor.ts'
import { createSamples, pick, rounds, timed } from './measure.ts'
import type { Bench, Measured } from './row.ts'

/** What a box takes for itself is read when it has had nothing to do for so long. */
const idleMs = 2000
const idleBoxes = 3
const boots = 3

/** From nothing to the first output of a command in a box with a kernel of its own, beside the bare emulator with the same guest. */
export async function microvms({ gibil, warm, sizes, limits, say }: Bench): Promise<Measured> {
  const samples = createSamples()
  const { note } = samples
  say('microvm: freezing a machine in each home')
  for (const subject of [gibil, warm]) await (await subject.sdk.create({ shape: 'microvm', ttl: '2h' })).destroy()
  await warm.settle?.()
  await using floor = await startQemuFloor(gibil.home, limits)

  const create = (subject: GibilSubject) => async (round: number) => {
    const begun = performance.now()
    const box = await subject.sdk.create({ shape: 'microvm', ttl: '2h' })
    const created = performance.now()
    await hello(box)
    note(subject.name, performance.now() - begun)
    note(`${subject.name} create`, created - begun)
    note(`${subject.name} second`, (await timed(() => hello(box))).ms)
    if (round < idleBoxes) {
      await sleep(idleMs)
      note(`${subject.name} idle`, (await privateDirtyBytes(await subject.pidsOf(box))) / 1024 ** 2)
    }
    await box.destroy()
    await subject.settle?.()
  }
  const ways: ReadonlyArray<(round: number) => Promise<void>> = [
    create(gibil),
    create(warm),
    async () => {
      const { ms, result: end } = await timed(() => floor.restore())
      note('restore', ms)
      await end()
    },
    async (round) => {
      if (round < boots) note('boot', (await timed(() => floor.boot())).ms)
    },
  ]
  say(`microvm: ${sizes.microvms} boxes`)
  for (const { round, order } of rounds(sizes.microvms, ways)) for (const way of order) await way(round)

  const middle = samples.medians()
  const own = (what: string) => ({ gibil: `gibil ${what}`, warm: `warm ${what}` })
  return {
    rows: [
      {
        name: 'microvm: create to first output (floor: bare restore to an answer)',
        unit: 'ms',
        values: pick(middle, { gibil: 'gibil', warm: 'warm', floor: 'restore' }),
      },
      { name: 'microvm: create', unit: 'ms', values: pick(middle, own('create')) },
      { name: 'microvm: the second command', unit: 'ms', values: pick(middle, own('second')) },
      { name: 'microvm: boot of the guest to its first program', unit: 'ms', values: pick(middle, { floor: 'boot' }) },
      { name: 'microvm: memory of an idle box alone (private dirty)', unit: 'MiB', values: pick(middle, own('idle')) },
    ],
    details: { medians: middle, samples: samples.all() },
  }
}

async function hello(box: Awaited<ReturnType<GibilSubject['createBox']>>): Promise<void> {
  const { stdout } = await box.run(['echo', 'hello'], { check: true })
  if (stdout !== 'hello\n') throw new Error(`The command printed ${JSON.stringify(stdout)}.`)
}
