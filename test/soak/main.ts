import { SoakFailure } from './failure.ts'
import { parseOptions, usage } from './options.ts'
import { type SoakResult, soak } from './soak.ts'

const say = (line: string): void => void process.stderr.write(`soak: ${line}\n`)

function table({ calls, kills, rounds, memory }: SoakResult): string {
  const rows = [...calls].sort(([, a], [, b]) => b - a).map(([what, count]): [string, string] => [what, String(count)])
  rows.push(['kills of the daemon', String(kills)], ['rounds that left nothing', String(rounds)])
  if (memory) {
    const { before, after } = memory
    rows.push(['daemon, MiB', `${before.daemon.rssMiB} then ${after.daemon.rssMiB}`])
    rows.push(['hostkit, MiB', `${before.hostkit.rssMiB} then ${after.hostkit.rssMiB}`])
  }
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(usage)
    return 0
  }
  const options = parseOptions(argv)
  if (process.getuid?.() !== 0) throw new Error('The soak needs root: it makes real boxes.')
  say(`seed ${options.seed}, ${options.clients} clients, ${options.seconds} s, a kill every ${options.killEvery} s`)
  try {
    process.stdout.write(`${table(await soak(options, say))}\n`)
    return 0
  } catch (error) {
    say(`FAILED with --seed ${options.seed}: ${error instanceof Error ? error.message : String(error)}`)
    if (error instanceof SoakFailure) for (const line of error.history) say(`  ${line}`)
    return 1
  }
}

process.exit(
  await main(process.argv.slice(2)).catch((error) => {
    say(error instanceof Error ? error.message : String(error))
    return 1
  }),
)
