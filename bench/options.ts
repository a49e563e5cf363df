import { parseArgs } from 'node:util'

/** How much is measured. Each number is per system under test. */
export interface Sizes {
  readonly sequential: number
  readonly staggered: number
  readonly burst: number
  /** Boxes made for the row on the first output of a command. */
  readonly firstOutput: number
  /** Commands run in one box. */
  readonly commands: number
  readonly fileMib: number
  readonly smallFiles: number
  /** Boxes held at once. */
  readonly held: number
  /** Boxes with a kernel of their own, made one after another. */
  readonly microvms: number
  /** Full machines, made one after another. */
  readonly vms: number
  /** Made one after another by the SDK of E2B. */
  readonly sandboxes: number
  /** How often one is paused and resumed. */
  readonly sleeps: number
  /** How often one is forked into ten. */
  readonly forks: number
  /** Boxes moved from one shape to another, one after another. */
  readonly moves: number
}

const rowNames = ['first-output', 'tti', 'run', 'files', 'held', 'microvm', 'vm', 'sleep', 'move', 'e2b'] as const
/** Those that ask nothing of the host that containers do not. */
const qemuRows: readonly string[] = ['microvm', 'vm', 'sleep', 'move', 'e2b']
const usualRows: readonly string[] = rowNames.filter((name) => !qemuRows.includes(name))
export type RowName = (typeof rowNames)[number]

export interface Options {
  readonly sizes: Sizes
  readonly full: boolean
  readonly rows: readonly RowName[]
  readonly docker: boolean
}

const short: Sizes = {
  sequential: 20,
  staggered: 20,
  burst: 20,
  firstOutput: 20,
  commands: 100,
  fileMib: 128,
  smallFiles: 2000,
  held: 20,
  microvms: 10,
  vms: 7,
  sandboxes: 15,
  sleeps: 10,
  forks: 2,
  moves: 3,
}

const full: Sizes = {
  sequential: 100,
  staggered: 100,
  burst: 100,
  firstOutput: 100,
  commands: 300,
  fileMib: 1024,
  smallFiles: 10_000,
  held: 500,
  microvms: 50,
  vms: 20,
  sandboxes: 50,
  sleeps: 30,
  forks: 5,
  moves: 7,
}

export const usage = `npm run bench -- [--full] [--rows ${rowNames.join(',')}] [--no-docker] [--held N] [--boxes N]

  --full       100 boxes in each way to start them, 1 GiB, 10,000 files, 500 boxes held (default 20, 128 MiB, 2,000, 20)
  --rows       only these, with a comma between; microvm, vm, sleep, move and e2b (which need QEMU) only if they are named
  --no-docker  without the peer
  --held       boxes held at once
  --boxes      boxes in each way to start them
`

export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      full: { type: 'boolean', default: false },
      rows: { type: 'string', default: usualRows.join(',') },
      'no-docker': { type: 'boolean', default: false },
      held: { type: 'string' },
      boxes: { type: 'string' },
    },
  })
  const wanted = values.rows.split(',')
  const unknown = wanted.filter((name) => !rowNames.some((row) => row === name))
  if (unknown.length > 0) throw new Error(`There is no row ${unknown.join(', ')}.\n${usage}`)
  const base = values.full ? full : short
  const boxes = values.boxes === undefined ? undefined : positive('--boxes', values.boxes)
  return {
    full: values.full,
    docker: !values['no-docker'],
    rows: rowNames.filter((name) => wanted.includes(name)),
    sizes: {
      ...base,
      ...(boxes === undefined
        ? {}
        : {
            sequential: boxes,
            staggered: boxes,
            burst: boxes,
            firstOutput: boxes,
            microvms: boxes,
            vms: boxes,
            sandboxes: boxes,
            moves: boxes,
          }),
      ...(values.held === undefined ? {} : { held: positive('--held', values.held) }),
    },
  }
}

function positive(flag: string, text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`${flag} takes a whole number of at least 1, not "${text}".`)
  return number
}
