/** The simulator as a process: `gibil hetzner-sim` runs it. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { qemuMachines } from './machines/qemu.ts'
import { type Sim, type SimOptions, startSim } from './start-sim.ts'

const usage = `hetzner-sim: a Hetzner Cloud API on this machine

  --port N          on 127.0.0.1 (default: any that is free)
  --token T         what clients have to give (default: made up, and kept in --state)
  --state DIR       keeps what there is over a restart (default: nothing is kept)
  --images DIR      boots real machines for servers, of DIR/<image>/disk.qcow2 (default: nothing stands behind servers)
  --action-ms N     how long an action takes at least, in milliseconds (default 500)
  --json            say where it is as JSON
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
        images: { type: 'string' },
        'action-ms': { type: 'string', default: '500' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : error}\n${usage}`)
  }
}

async function main(): Promise<void> {
  const { port, token, state, images, 'action-ms': actionMs, json, help } = readArguments()
  if (help) {
    process.stdout.write(usage)
    return
  }
  if (!(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) fail(`"${port}" is no port`)
  if (!/^\d{1,7}$/.test(actionMs)) fail(`"${actionMs}" is no number of milliseconds`)
  const stateFile = state === undefined ? undefined : join(resolve(state), 'hetzner-sim.json')
  if (images !== undefined && state === undefined) fail('machines of --images need --state, where their disks are')
  const machines = images && state ? qemuMachines({ dir: resolve(state), images: resolve(images) }) : undefined
  const sim = await start({ port: Number(port), token, stateFile, machines, actionMs: Number(actionMs) })
  const { url } = sim
  process.stdout.write(
    json
      ? `${JSON.stringify({ url, token: sim.token })}\n`
      : `export HCLOUD_ENDPOINT=${url}\nexport HCLOUD_TOKEN=${sim.token}\n`,
  )
  let stopping = false
  const stop = async (): Promise<void> => {
    // From a terminal both the interrupt and the word of the CLI arrive.
    if (stopping) return
    stopping = true
    await sim.close()
    process.exit(0)
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
}

/** What is wrong with a port or a state file is said in a line. */
async function start(options: SimOptions): Promise<Sim> {
  try {
    return await startSim(options)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`hetzner-sim: ${message}\n`)
    return process.exit(1)
  }
}

await main()
