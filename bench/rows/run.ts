import { mustRun } from '../process.ts'
import { createSamples, pick, rounds, timed } from './measure.ts'
import type { Bench, Measured } from './row.ts'

/** One small command in a box that runs. */
export async function runLatency({ gibil, docker, floor, sizes, say }: Bench): Promise<Measured> {
  say(`run: ${sizes.commands} commands`)
  const box = await gibil.createBox()
  const peer = await docker?.create()
  const bare = await floor.create()
  const samples = createSamples()
  try {
    const ways: Record<string, () => Promise<unknown>> = {
      'gibil argv': () => box.run(['true'], { check: true }),
      'gibil shell': () => box.run('true', { check: true }),
      'floor exec': () => bare.run('true'),
      ...(docker && peer
        ? {
            'docker api': () => docker.daemon.api.exec(peer.id, ['true']),
            'docker cli': () => mustRun(['docker', 'exec', peer.id, 'true'], { env: docker.daemon.env }),
          }
        : {}),
    }
    for (const { round, order } of rounds(sizes.commands + 3, Object.entries(ways))) {
      for (const [name, way] of order) {
        const { ms } = await timed(way)
        // The first ones meet cold caches and are not what a box that runs gives.
        if (round >= 3) samples.note(name, ms)
      }
    }
  } finally {
    await Promise.all([box.destroy(), peer?.destroy(), bare.destroy()])
  }
  const middle = samples.medians()
  return {
    rows: [
      {
        name: 'run `true` in a running box, API',
        unit: 'ms',
        values: pick(middle, { gibil: 'gibil argv', docker: 'docker api' }),
      },
      {
        name: 'run `bash -c true` (`docker exec`, `runc exec`)',
        unit: 'ms',
        values: pick(middle, { gibil: 'gibil shell', docker: 'docker cli', floor: 'floor exec' }),
      },
    ],
    details: { medians: middle, samples: samples.all() },
  }
}
