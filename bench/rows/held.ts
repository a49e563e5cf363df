import { readFile } from 'node:fs/promises'
import { pssBytes } from '../process.ts'
import { median } from '../stats.ts'
import type { Running, Subject } from '../subject.ts'
import { timed } from './measure.ts'
import type { Bench, Measured, Row } from './row.ts'

interface Held {
  readonly createMs: readonly number[]
  readonly pssPerBox: number
  readonly availablePerBox: number
  readonly daemonBefore: number
  readonly daemonAfter: number
  readonly runMs: number
}

const mib = (bytes: number): number => bytes / 1024 ** 2

/** Many boxes at once: what each costs, whether the next costs more, and how the daemon bears them. */
export async function heldBoxes({ gibil, docker, sizes, say }: Bench): Promise<Measured> {
  const values: Record<string, Held> = {}
  const destroyMs: Record<string, number> = {}
  let restart: Record<string, number> = {}
  for (const subject of [gibil, ...(docker ? [docker] : [])]) {
    say(`held: ${sizes.held} boxes of ${subject.name}`)
    const boxes: Running[] = []
    try {
      values[subject.name] = await hold(subject, sizes.held, boxes)
      if (subject === gibil) restart = await restartWith(gibil, sizes.held)
    } finally {
      say(`held: destroying ${boxes.length} boxes of ${subject.name}`)
      const times: number[] = []
      for (const box of boxes) times.push((await timed(() => box.destroy())).ms)
      if (times.length > 0) destroyMs[subject.name] = median(times)
    }
  }
  const of = (value: (held: Held) => number): Record<string, number> =>
    Object.fromEntries(Object.entries(values).map(([name, held]) => [name, value(held)]))
  const count = sizes.held
  const tenth = Math.max(3, Math.floor(count / 10))
  const rows: Row[] = [
    {
      name: `create, first ${tenth} of ${count} boxes, median`,
      unit: 'ms',
      values: of((held) => median(held.createMs.slice(0, tenth))),
    },
    {
      name: `create, middle ${tenth} of ${count} boxes, median`,
      unit: 'ms',
      values: of((held) => median(held.createMs.slice((count - tenth) >> 1, (count + tenth) >> 1))),
    },
    {
      name: `create, last ${tenth} of ${count} boxes, median`,
      unit: 'ms',
      values: of((held) => median(held.createMs.slice(-tenth))),
    },
    { name: `destroy, each of ${count} boxes in turn, median`, unit: 'ms', values: destroyMs },
    { name: 'memory of processes per idle box (PSS)', unit: 'MiB', values: of((held) => mib(held.pssPerBox)) },
    { name: 'memory of the machine per idle box', unit: 'MiB', values: of((held) => mib(held.availablePerBox)) },
    { name: 'daemon with no box', unit: 'MiB', values: of((held) => mib(held.daemonBefore)) },
    { name: `daemon with ${count} boxes`, unit: 'MiB', values: of((held) => mib(held.daemonAfter)) },
    { name: `run \`true\` with ${count} boxes held`, unit: 'ms', values: of((held) => held.runMs) },
    {
      name: `daemon start with ${count} boxes, until it answers`,
      unit: 'ms',
      values: { gibil: restart['answers'] ?? Number.NaN },
    },
    {
      name: `daemon start with ${count} boxes, until a box runs a command`,
      unit: 'ms',
      values: { gibil: restart['runs'] ?? Number.NaN },
    },
  ]
  return { rows, details: { held: values, restart } }
}

async function hold(subject: Subject, count: number, boxes: Running[]): Promise<Held> {
  const createMs: number[] = []
  const daemonBefore = (await subject.daemonBytes?.()) ?? 0
  const before = await availableBytes()
  for (let index = 0; index < count; index += 1) {
    const { ms, result } = await timed(() => subject.create())
    boxes.push(result)
    createMs.push(ms)
  }
  const after = await availableBytes()
  const daemonAfter = (await subject.daemonBytes?.()) ?? 0
  const pids = (await Promise.all(boxes.slice(0, 20).map((box) => box.pids?.() ?? []))).flat()
  const pssPerBox = (await pssBytes(pids)) / Math.min(20, count)
  const first = boxes[0]
  const runs: number[] = []
  for (let index = 0; first && index < 20; index += 1) runs.push((await timed(() => first.run('true'))).ms)
  return {
    createMs,
    pssPerBox,
    availablePerBox: (before - after - (daemonAfter - daemonBefore)) / count,
    daemonBefore,
    daemonAfter,
    runMs: median(runs),
  }
}

/** Ends the daemon while its boxes go on, and starts it again. */
async function restartWith(gibil: Bench['gibil'], count: number): Promise<Record<string, number>> {
  const [box] = await gibil.sdk.list()
  if (!box) throw new Error('No box is held.')
  await gibil.stopDaemon()
  const begun = performance.now()
  await gibil.startDaemon()
  const answers = performance.now() - begun
  await gibil.sdk.box(box.id).run(['true'], { check: true })
  const runs = performance.now() - begun
  const kept = (await gibil.sdk.list()).filter((one) => one.status === 'running').length
  if (kept !== count) throw new Error(`${kept} of ${count} boxes run after the daemon was started again.`)
  return { answers, runs }
}

/** MemAvailable of proc_meminfo(5), with what can be dropped at once counted as free. */
async function availableBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8')
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024
}
