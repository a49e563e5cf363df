import { parseArgs } from 'node:util'

export interface SoakOptions {
  readonly seconds: number
  readonly clients: number
  /** Seconds between two kills of the daemon. */
  readonly killEvery: number
  readonly seed: number
}

export const usage = `npm run soak -- [--seconds N] [--clients N] [--kill-every S] [--seed N]

  --seconds     how long, 1800 by default; two thirds of it with kills, then the same daemon to the end
  --clients     that work at the same time, 8 by default
  --kill-every  seconds from one SIGKILL of the daemon to the next, 60 by default
  --seed        of a run before, to choose as it did; made up by default
`

/** Throws an Error that says what is wrong. */
export function parseOptions(argv: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seconds: { type: 'string', default: '1800' },
      clients: { type: 'string', default: '8' },
      'kill-every': { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    },
  })
  return {
    seconds: whole('--seconds', values.seconds, 10),
    clients: whole('--clients', values.clients, 1),
    killEvery: whole('--kill-every', values['kill-every'], 2),
    seed: whole('--seed', values.seed, 0),
  }
}

function whole(flag: string, text: string, least: number): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= least) return number
  throw new Error(`${flag} takes a whole number of at least ${least}, not "${text}".\n${usage}`)
}
