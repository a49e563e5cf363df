import type { GibilSubject } from '../gibil.ts'
import { createSamples, pick, rounds, timed } from './measure.ts'
import type { Bench, Measured } from './row.ts'

/** From nothing to the first output of a command, and where Gibil's create spends that time. */
export async function firstOutput({ gibil, warm, docker, floor, sizes, say }: Bench): Promise<Measured> {
  const samples = createSamples()
  const phases = createSamples()
  const { note } = samples
  let runs = 0
  say(`create to first output: ${sizes.firstOutput} times`)

  const create = (subject: GibilSubject) => async (): Promise<void> => {
    const begun = performance.now()
    const box = await subject.createBox()
    const created = performance.now()
    expectHello((await box.run(['echo', 'hello'], { check: true })).stdout)
    const ended = performance.now()
    note(subject.name, ended - begun)
    note(`${subject.name} create`, created - begun)
    for (const { phase, ms } of (await box.info()).timings) phases.note(`${subject.name} ${phase}`, ms)
    await box.destroy()
    await subject.settle?.()
  }
  const ways: ReadonlyArray<() => Promise<void>> = [
    create(gibil),
    create(warm),
    async () => {
      if (!docker) return
      runs += 1
      const name = `first-${runs}`
      const { ms, result } = await timed(() =>
        docker.cli('run', '--name', name, ...docker.limits, docker.image, 'echo', 'hello'),
      )
      expectHello(result)
      note('docker run', ms)
      await docker.cli('rm', '--force', name)
    },
    async () => {
      if (!docker) return
      const begun = performance.now()
      const box = await docker.create()
      expectHello(await docker.daemon.api.exec(box.id, ['echo', 'hello']))
      note('docker', performance.now() - begun)
      await box.destroy()
    },
    async () => {
      const { ms, result } = await timed(() => floor.runOnce(['echo', 'hello']))
      expectHello(result)
      note('floor', ms)
    },
    async () => {
      const begun = performance.now()
      const box = await floor.create()
      expectHello(await box.run('echo hello'))
      note('floor with exec', performance.now() - begun)
      await box.destroy()
    },
  ]
  for (const { order } of rounds(sizes.firstOutput, ways)) for (const way of order) await way()

  const middle = samples.medians()
  return {
    rows: [
      {
        name: 'create to first output',
        unit: 'ms',
        values: pick(middle, { gibil: 'gibil', warm: 'warm', docker: 'docker', floor: 'floor with exec' }),
      },
      {
        name: 'the same in one command (`docker run`, `runc run`)',
        unit: 'ms',
        values: pick(middle, { docker: 'docker run', floor: 'floor' }),
      },
    ],
    details: {
      medians: middle,
      phases: phases.medians(),
      samples: samples.all(),
    },
  }
}

function expectHello(output: string): void {
  if (output !== 'hello\n') throw new Error(`The command printed ${JSON.stringify(output)}.`)
}
