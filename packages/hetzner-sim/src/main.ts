/** The simulator as a process: `gibil hetzner-sim` runs it. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startSim } from './start-sim.ts'

const usage = `hetzner-sim: a Hetzner Cloud API on this machine

  --port N          on 127.0.0.1 (default: any that is free)
  --token T         what clients have to give (default: made up, and kept in --state)
  --state DIR       keeps what there is over a restart (default: nothing is kept)
  --action-ms N     how long an action takes at least, in milliseconds (default 500)
`

function fail(message: string): never {
  process.stderr.write(`hetzner-sim: ${message}\n`)
  process.exit(2)
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        port: { type: 'string', default: '0' },
        token: { type: 'string' },
        state: { type: 'string' },
        'action-ms': { type: 'string', default: '500' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : error}\n${usage}`)
  }
}

async function main(): Promise<void> {
  const { port, token, state, 'action-ms': actionMs, help } = readArguments()
  if (help) {
    process.stdout.write(usage)
    return
  }
  if (!(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) fail(`"${port}" is no port`)
  if (!/^\d{1,7}$/.test(actionMs)) fail(`"${actionMs}" is no number of milliseconds`)
  const stateFile = state === undefined ? undefined : join(resolve(state), 'hetzner-sim.json')
  const sim = await startSim({ port: Number(port), token, stateFile, actionMs: Number(actionMs) })
  process.stdout.write(`export HCLOUD_ENDPOINT=${sim.url}\nexport HCLOUD_TOKEN=${sim.token}\n`)
  const stop = async (): Promise<void> => {
    await sim.close()
    process.exit(0)
  }
  process.once('SIGTERM', stop).once('SIGINT', stop)
}

await main()
