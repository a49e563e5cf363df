import { setTimeout as sleep } from 'node:timers/promises'
import { type Summary, summarize } from '../stats.ts'
import type { Running, Subject } from '../subject.ts'
import { rounds, timed } from './measure.ts'
import type { Bench, Measured, Row } from './row.ts'

/**
 * Time to interactive as the public benchmark takes it: create, a probe of the box's identity, `node -v`, by the clock of the client; the destroy is not
 * timed. A marker file of an earlier box is a failure: a used box was handed out.
 */
const marker = '.bench_ephemeral_check'
const probe = [
  'readlink /proc/self/ns/mnt /proc/self/ns/pid /proc/self/ns/uts',
  'sha256sum < /proc/self/cgroup',
  'cat /proc/sys/kernel/random/boot_id',
  'head -c 200 /proc/1/cmdline | tr "\\0" " "; cut -d " " -f 1 /proc/uptime',
  `for d in /tmp /var/tmp; do if [ -e $d/${marker} ]; then echo "reuse detected in $d"; exit 9; fi; echo x > $d/${marker}; done`,
].join('; ')

const staggerMs = 200

type Result = { readonly ms: number } | { readonly failure: string }

async function once(subject: Subject): Promise<Result> {
  let box: Running | undefined
  try {
    const { ms } = await timed(async () => {
      box = await subject.create()
      await box.run(probe)
      const version = await box.run('node -v')
      if (!version.startsWith('v')) throw new Error(`node -v said ${version}`)
    })
    return { ms }
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) }
  } finally {
    await box?.destroy()
  }
}

export async function timeToInteractive({ gibil, warm, docker, floor, sizes, say }: Bench): Promise<Measured> {
  const subjects: readonly Subject[] = [gibil, warm, ...(docker ? [docker] : []), floor]
  const results = {
    sequential: new Map<string, Result[]>(),
    staggered: new Map<string, Result[]>(),
    burst: new Map<string, Result[]>(),
  }
  say(`time to interactive: ${sizes.sequential} one after another`)
  for (const { order } of rounds(sizes.sequential, subjects)) {
    for (const subject of order) {
      push(results.sequential, subject, [await once(subject)])
      await subject.settle?.()
    }
  }
  for (const subject of subjects) {
    say(`time to interactive: ${sizes.staggered} of ${subject.name}, one every ${staggerMs} ms`)
    const begun = Array.from({ length: sizes.staggered }, async (_, index) => {
      await sleep(index * staggerMs)
      return once(subject)
    })
    push(results.staggered, subject, await Promise.all(begun))
    await subject.settle?.()
  }
  const wall: Record<string, number> = {}
  for (const subject of subjects) {
    say(`time to interactive: ${sizes.burst} of ${subject.name} at once`)
    const { ms, result } = await timed(() => Promise.all(Array.from({ length: sizes.burst }, () => once(subject))))
    wall[subject.name] = ms
    push(results.burst, subject, result)
    await subject.settle?.()
  }

  const details: Record<string, unknown> = { burstWallMs: wall }
  const rows: Row[] = []
  for (const [mode, bySubject] of Object.entries(results)) {
    const summaries = Object.fromEntries([...bySubject].map(([name, all]) => [name, summaryOf(all)]))
    const failures = [...bySubject].flatMap(([name, all]) =>
      all.flatMap((one) => ('failure' in one ? [`${name}: ${one.failure}`] : [])),
    )
    details[mode] = { summaries, failures: failures.slice(0, 20), samples: Object.fromEntries(bySubject) }
    rows.push(...rowsOf(mode, summaries))
  }
  rows.push({ name: 'TTI burst, wall clock of all', unit: 'ms', values: wall })
  return { rows, details }
}

function push(into: Map<string, Result[]>, subject: Subject, results: readonly Result[]): void {
  into.set(subject.name, [...(into.get(subject.name) ?? []), ...results])
}

function summaryOf(results: readonly Result[]): Summary {
  const samples = results.flatMap((one) => ('ms' in one ? [one.ms] : []))
  return summarize(samples, results.length - samples.length)
}

function rowsOf(mode: string, summaries: Readonly<Record<string, Summary>>): Row[] {
  const values = (of: (summary: Summary) => number): Record<string, number> =>
    Object.fromEntries(Object.entries(summaries).map(([name, summary]) => [name, of(summary)]))
  const count = Object.values(summaries)[0]?.count ?? 0
  return [
    { name: `TTI ${mode} ${count}, median`, unit: 'ms', values: values((one) => one.median) },
    { name: `TTI ${mode} ${count}, p95`, unit: 'ms', values: values((one) => one.p95) },
    { name: `TTI ${mode} ${count}, p99`, unit: 'ms', values: values((one) => one.p99) },
    { name: `TTI ${mode} ${count}, score`, unit: 'score', values: values((one) => one.score) },
    { name: `TTI ${mode} ${count}, success`, unit: '%', values: values((one) => one.successRate * 100) },
  ]
}
