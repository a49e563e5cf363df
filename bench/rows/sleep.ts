import { startQemuFloor } from '../qemu-floor.ts'
import { createSamples, pick, timed } from './measure.ts'
import type { Bench, Measured } from './row.ts'

/** The box that is paused and forked. */
const box = { shape: 'microvm', ttl: '2h', cpu: 1, memoryMib: 512 } as const
const copies = 10

/** A microvm that sleeps on the disk, wakes, and is copied with its memory, beside the bare restore of a frozen machine. */
export async function sleepAndFork({ gibil, sizes, say }: Bench): Promise<Measured> {
  const samples = createSamples()
  const { note } = samples
  say('sleep: freezing a machine')
  await (await gibil.sdk.create({ ...box })).destroy()
  await using floor = await startQemuFloor(gibil.home, box)
  const one = await gibil.sdk.create({ ...box })
  const hello = () => one.run(['echo', 'hello'], { check: true })
  await hello()
  say(`sleep: ${sizes.sleeps} times`)
  for (let round = 0; round < sizes.sleeps; round += 1) {
    note('pause', (await timed(() => one.pause())).ms)
    const begun = performance.now()
    await one.resume()
    note('resume', performance.now() - begun)
    await hello()
    note('resume to output', performance.now() - begun)
    const { ms, result: end } = await timed(() => floor.restore())
    note('restore', ms)
    await end()
    const saved = await timed(() => gibil.sdk.snapshots.create(one.ref))
    note('snapshot', saved.ms)
    await gibil.sdk.snapshots.remove(saved.result.id)
  }
  say(`sleep: ${sizes.forks} forks into ${copies}`)
  for (let round = 0; round < sizes.forks; round += 1) {
    const { ms, result } = await timed(() => gibil.sdk.fork({ from: one.ref, count: copies, ttl: '1h' }))
    note('fork', ms)
    await Promise.all(result.boxes.map(({ id }) => gibil.sdk.box(id).destroy()))
  }
  await one.destroy()

  const middle = samples.medians()
  const row = (name: string, what: string) => ({ name, unit: 'ms' as const, values: pick(middle, { gibil: what }) })
  return {
    rows: [
      row('microvm of 512 MiB: pause, memory to disk', 'pause'),
      {
        name: 'microvm of 512 MiB: resume to first output (floor: bare restore to an answer)',
        unit: 'ms',
        values: pick(middle, { gibil: 'resume to output', floor: 'restore' }),
      },
      row('microvm of 512 MiB: snapshot with memory', 'snapshot'),
      row(`microvm of 512 MiB: fork of one that runs into ${copies}`, 'fork'),
    ],
    details: { medians: middle, samples: samples.all() },
  }
}
