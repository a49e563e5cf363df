import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type GibilSubject, startGibil } from '../gibil.ts'
import { createSamples, pick } from './measure.ts'
import type { Bench, Measured } from './row.ts'

const client = join(import.meta.dirname, '..', 'e2b-client.ts')
/** Not measured: a machine is frozen, pools learn what is wanted, connections are opened. */
const first = 3
const port = 7943
/** Few, since a pool that is being filled takes the host from whoever is measured. */
const spares = 4

/** `Sandbox.create()` and a command by E2B's own SDK, by TLS and host names, from a warm pool and without, in the two shapes of the door. */
export async function e2bDoor({ sizes, say }: Bench): Promise<Measured> {
  const samples = createSamples()
  for (const [name, pool] of [
    ['gibil', 0],
    ['warm', spares],
  ] as const) {
    await using subject = await startGibil({ name, pool, images: ['base', 'e2b'] })
    for (const shape of ['container', 'microvm'] as const) {
      say(`e2b: ${sizes.sandboxes} sandboxes as ${shape}, ${pool === 0 ? 'cold' : 'from a pool'}`)
      await measure(subject, shape, sizes.sandboxes, samples.note)
    }
  }
  const middle = samples.medians()
  const row = (shape: string) => ({
    name: `e2b: create and a command by its SDK, as ${shape}`,
    unit: 'ms' as const,
    values: pick(middle, { gibil: `gibil ${shape}`, warm: `warm ${shape}` }),
  })
  return { rows: [row('container'), row('microvm')], details: { medians: middle, samples: samples.all() } }
}

async function measure(
  subject: GibilSubject,
  shape: 'container' | 'microvm',
  count: number,
  note: (name: string, value: number) => void,
): Promise<void> {
  const { e2b, tokens } = subject.sdk
  const { domain, certificateAuthority } = await e2b.setUp({ shape, port })
  const { secret } = await tokens.create({ name: shape, form: 'e2b' })
  const trust = { NODE_EXTRA_CA_CERTS: certificateAuthority ?? '' }
  const child = spawn(process.execPath, [client], {
    env: { PATH: process.env['PATH'], E2B_DOMAIN: domain, E2B_API_KEY: secret, ...trust },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  try {
    for (let round = 0; round < first + count; round += 1) {
      await subject.settle?.()
      child.stdin.write('\n')
      const { value, done } = await lines.next()
      if (done) throw new Error('The client of E2B ended before it was done.')
      const { ms, create } = JSON.parse(value)
      if (round < first) continue
      note(`${subject.name} ${shape}`, ms)
      note(`${subject.name} ${shape} create`, create)
    }
  } finally {
    child.stdin.end()
    await ended
  }
}
