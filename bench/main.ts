import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startDockerSubject } from './docker/subject.ts'
import { startFloor } from './floor.ts'
import { startGibil } from './gibil.ts'
import { describeMachine, load } from './machine.ts'
import { parseOptions, type RowName, usage } from './options.ts'
import { mustRun } from './process.ts'
import { e2bDoor } from './rows/e2b.ts'
import { fileTransfer } from './rows/files.ts'
import { firstOutput } from './rows/first-output.ts'
import { heldBoxes } from './rows/held.ts'
import { microvms } from './rows/microvm.ts'
import { moves } from './rows/move.ts'
import type { Bench, Measured, Row } from './rows/row.ts'
import { runLatency } from './rows/run.ts'
import { sleepAndFork } from './rows/sleep.ts'
import { timeToInteractive } from './rows/tti.ts'
import { fullMachines } from './rows/vm.ts'
import { renderTable } from './table.ts'

const root = join(import.meta.dirname, '..')
const cache = join(root, '.cache')
/** What `gibil create` gives without a size. */
const limits = { cpu: 2, memoryMib: 4096 }

/** Boxes that the daemon with a warm pool makes ahead at most: what it does without being told. */
const spares = 16

const parts: Readonly<Record<RowName, (bench: Bench) => Promise<Measured>>> = {
  'first-output': firstOutput,
  tti: timeToInteractive,
  run: runLatency,
  files: fileTransfer,
  held: heldBoxes,
  microvm: microvms,
  vm: fullMachines,
  sleep: sleepAndFork,
  move: moves,
  e2b: e2bDoor,
}

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`)

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return void process.stdout.write(usage)
  const options = parseOptions(argv)
  if (process.getuid?.() !== 0) throw new Error('The bench needs root: it mounts, and starts containers by three ways.')
  const commit = (
    await mustRun(['git', 'describe', '--always', '--dirty'], { cwd: root }).catch(() => 'unknown')
  ).trim()
  const date = new Date().toISOString()
  const before = load()
  await mkdir(cache, { recursive: true })

  say('starting gibil')
  await using gibil = await startGibil({
    name: 'gibil',
    pool: 0,
    images: options.rows.includes('vm') ? ['base', 'vm'] : ['base'],
  })
  await using warm = await startGibil({ name: 'warm', pool: spares, images: ['base'] })
  await using floor = await startFloor({ layers: await gibil.layers(), limits })
  if (options.docker) say('starting docker and importing the same root file system')
  await using docker = options.docker ? await startDockerSubject(cache, floor.rootfs, limits) : undefined

  const rows: Row[] = []
  const details: Record<string, unknown> = {}
  const measure = async (): Promise<void> => {
    for (const name of options.rows) {
      const begin = load()
      const measured = await parts[name]({ gibil, warm, docker, floor, sizes: options.sizes, limits, say })
      rows.push(...measured.rows)
      details[name] = { load: { before: begin, after: load() }, ...measured.details }
    }
  }
  // Whoever interrupts it gets all that was started taken away as well.
  await Promise.race([measure(), interrupted()])

  const machine = await describeMachine(commit)
  const versions = { ...machine.versions, ...(docker ? { docker: docker.version } : {}) }
  const result = {
    date,
    full: options.full,
    sizes: options.sizes,
    load: { before, after: load() },
    machine: { ...machine, versions },
    rows,
    details,
  }
  const path = join(root, 'bench/results', `${date.replace(/[:.]/g, '-')}.json`)
  await mkdir(join(root, 'bench/results'), { recursive: true })
  await writeFile(path, `${JSON.stringify(result, null, 1)}\n`)
  process.stdout.write(`${renderTable(rows)}\n`)
  say(`load ${before} before, ${load()} after; all samples are in ${path}`)
}

function interrupted(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new Error(`The bench was ended by ${signal}.`)))
    }
  })
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exit(1)
}
