import { setTimeout as sleep } from 'node:timers/promises'
import { type Box, type CreateOptions, GibilError, type OnExpire } from '@gibil/sdk'
import type { Client } from '../client.ts'
import { must, mustEqual, SoakFailure } from '../failure.ts'
import { type BoxModel, createModel } from '../model.ts'
import { leaveJobs } from './jobs.ts'

type Sized = Pick<CreateOptions, 'size' | 'cpu' | 'memoryMib' | 'diskMib'>
const sizes: readonly [Sized, ...Sized[]] = [
  { size: 'small' },
  { cpu: 0.5, memoryMib: 256, diskMib: 512 },
  { cpu: 1, memoryMib: 512, diskMib: 1024 },
  { memoryMib: 384 },
]

function wish({ random, number }: Client): BoxModel['asked'] {
  const env = random.chance(0.7) ? { [`SOAK_${random.word(4).toUpperCase()}`]: random.text(random.int(0, 40)) } : {}
  return {
    name: `c${number}-${random.word(8)}`,
    ...random.pick(sizes),
    env: { SOAK: random.word(6), ...env },
    labels: { client: String(number), [random.word(5)]: random.text(8) },
    network: random.pick(['internet', 'lan', 'none']),
    ttl: random.pick(['none', '2h', '3h', 240]),
    ...(random.chance(0.2) ? { user: 'root' } : {}),
  }
}

/** Makes a box; one whose create was cut off is there and becomes ready, or is not there and its name is free. */
export async function create(client: Client): Promise<BoxModel> {
  const asked = wish(client)
  const history: string[] = []
  const draft = createModel('', asked, history)
  const made = async (): Promise<string> => {
    for (;;) {
      const outcome = await client.ask(draft, 'create', () => client.gibil.create(asked))
      if (outcome.is === 'answer') return (await outcome.value.info()).id
      if (outcome.is === 'refusal') throw new SoakFailure(`${asked.name}: create failed: ${outcome.error}`, history)
      const found = await client.ask(draft, 'get', () => client.gibil.get(asked.name))
      if (found.is === 'answer') {
        const { value } = found
        return (await client.get(draft, 'wait ready', () => value.wait('ready'))).id
      }
      if (found.is === 'refusal')
        mustEqual(draft, 'the box of a create that was cut off', found.error.code, 'box_not_found')
    }
  }
  const box = createModel(await made(), asked, history)
  client.boxes.push(box)
  await check(client, box)
  if (client.random.chance(0.2)) {
    await client.refused(box, 'create the same name', 'name_in_use', () => client.gibil.create({ name: asked.name }))
  }
  return box
}

/** All that is said of a box beside the model. */
function checkInfo(box: BoxModel, info: Box): void {
  mustEqual(box, 'id', info.id, box.id)
  mustEqual(box, 'status', info.status, box.status)
  mustEqual(box, 'readiness', info.readiness, 'ready')
  mustEqual(box, 'failure', info.failure, null)
  mustEqual(box, 'labels', info.labels, box.asked.labels)
  mustEqual(box, 'network', info.network, box.asked.network)
  mustEqual(box, 'envNames', info.envNames, Object.keys(box.asked.env ?? {}).sort())
  mustEqual(box, 'user', info.user, box.asked.user ?? 'agent')
  if (box.asked.memoryMib) mustEqual(box, 'memory', info.size.memoryMib, box.asked.memoryMib)
  if (box.asked.ttl === 'none' && box.expiresAt === null) mustEqual(box, 'expiresAt', info.lease.expiresAt, null)
  if (box.expiresAt !== null) mustEqual(box, 'expiresAt', info.lease.expiresAt, box.expiresAt)
}

export async function check(client: Client, box: BoxModel): Promise<void> {
  const ref = client.random.chance(0.5) ? box.name : box.id
  const handle = await client.get(box, 'get', () => client.gibil.get(ref))
  checkInfo(box, await handle.info())
}

/** Every box of this client is in the list as it must be, and no other of its name is. */
export async function list(client: Client, box: BoxModel): Promise<void> {
  const all = await client.get(box, 'list', () => client.gibil.list())
  const own = all.filter(({ name }) => name.startsWith(`c${client.number}-`))
  mustEqual(box, 'the list', own.map(({ id }) => id).sort(), client.boxes.map(({ id }) => id).sort())
  for (const info of own) {
    const model = client.boxes.find(({ id }) => id === info.id)
    if (model) checkInfo(model, info)
  }
}

/** A new TTL counts from now; one whose call was cut off is the old or the new one. */
export async function extend(client: Client, box: BoxModel): Promise<void> {
  const minutes = client.random.int(120, 600)
  const begin = Date.now()
  const outcome = await client.ask(box, `extend ${minutes}`, () => client.handle(box).extend(minutes))
  const info =
    outcome.is === 'answer' ? outcome.value : await client.get(box, 'get', () => client.handle(box).refresh())
  if (outcome.is === 'refusal') throw new SoakFailure(`${box.name}: extend was refused: ${outcome.error}`, box.history)
  const { expiresAt, ttlSeconds } = info.lease
  const until = Date.parse(expiresAt ?? '')
  const isNew =
    ttlSeconds === minutes * 60 && until >= begin + minutes * 60_000 && until <= Date.now() + minutes * 60_000
  const isOld = outcome.is === 'cut' && (box.expiresAt === null || expiresAt === box.expiresAt)
  must(box, `its lease is not that of extend ${minutes}`, isNew || isOld, info.lease)
  box.expiresAt = expiresAt
  await check(client, box)
}

export async function destroy(client: Client, box: BoxModel): Promise<void> {
  await leaveJobs(box)
  for (;;) {
    const outcome = await client.ask(box, 'destroy', () => client.handle(box).destroy())
    if (outcome.is === 'answer') {
      mustEqual(box, 'status after destroy', outcome.value.status, 'destroyed')
      break
    }
    if (outcome.is === 'refusal') {
      // Also a call that the SDK sent again after it had been cut off finds nothing more.
      const wasCut = box.history.some((line) => /destroy: (interrupted|daemon_unreachable)/.test(line))
      must(box, `destroy was refused: ${outcome.error}`, wasCut && outcome.error.code === 'box_not_found')
      break
    }
  }
  client.boxes.splice(client.boxes.indexOf(box), 1)
  await client.refused(box, 'get', 'box_not_found', () => client.gibil.get(box.id))
  await client.refused(box, 'run', 'box_not_found', () => client.handle(box).run('true'))
}

/** What a lease may do, and what the box is then; one that was never ready is gone or stopped in any case. */
const endings: readonly [readonly [OnExpire, readonly string[]], ...(readonly [OnExpire, readonly string[]])[]] = [
  ['destroy', ['gone']],
  ['stop', ['stopped', 'gone']],
  ['pause', ['paused', 'stopped', 'gone']],
]

/** A box that its lease ends: it is there until then, and not long after. */
export async function brief(client: Client, of: BoxModel): Promise<void> {
  const name = `brief${client.number}-${client.random.word(6)}`
  const seconds = client.random.int(3, 8)
  const [onExpire, wanted] = client.random.pick(endings)
  const options = { name, ttl: `${seconds}s`, onExpire, network: 'none' } as const
  const outcome = await client.ask(of, `create ${name} for ${seconds}s, then ${onExpire}`, () =>
    client.gibil.create(options),
  )
  if (outcome.is === 'refusal') {
    // On a busy machine it may end before it was ready.
    mustEqual(of, 'the refusal of a brief box', ['wrong_state', 'cancelled'].includes(outcome.error.code), true)
  }
  const handle = client.gibil.box(name)
  const ended = async (): Promise<string | undefined> => {
    const found = await client.ask(of, `get ${name}`, () => handle.refresh())
    if (found.is === 'answer') return found.value.status
    return found.is === 'refusal' && found.error.code === 'box_not_found' ? 'gone' : undefined
  }
  // Late by as long as a daemon is away, and a busy machine takes.
  const deadline = Date.now() + seconds * 1000 + 60_000
  for (let status = await ended(); !wanted.includes(status ?? ''); status = await ended()) {
    must(of, `${name} is ${status} long after its end`, Date.now() < deadline)
    await sleep(200)
  }
  await client.get(of, `destroy ${name}`, () => destroyIfThere(() => handle.destroy()))
}

/** A create that is given up leaves nothing, whenever it is. */
export async function abandonedCreate(client: Client, of: BoxModel): Promise<void> {
  const name = `left${client.number}-${client.random.word(6)}`
  const signal = AbortSignal.timeout(client.random.int(1, 120))
  const outcome = await client.ask(of, `create ${name} and leave`, () =>
    client.gibil.create({ name, network: 'none' }, { signal }),
  )
  if (outcome.is === 'refusal') mustEqual(of, 'leaving a create', outcome.error.code, 'cancelled')
  if (outcome.is === 'refusal') {
    await client.refused(of, `get ${name}`, 'box_not_found', () => client.gibil.get(name))
    return
  }
  await client.get(of, `destroy ${name}`, () => destroyIfThere(() => client.gibil.box(name).destroy()))
}

/** Several boxes at once; all of them go at once. */
export async function fleet(client: Client, of: BoxModel): Promise<void> {
  const name = `fleet${client.number}-${client.random.word(6)}`
  const count = client.random.int(2, 4)
  const outcome = await client.ask(of, `fleet ${name} of ${count}`, () =>
    client.gibil.fleets.create({ name, count, network: 'none' }),
  )
  if (outcome.is === 'refusal') throw new SoakFailure(`${of.name}: fleet ${name}: ${outcome.error}`, of.history)
  let whole = false
  if (outcome.is === 'answer') {
    const { id, boxes, failures } = outcome.value
    mustEqual(of, `failures of ${name}`, failures, [])
    mustEqual(of, `size of ${name}`, boxes.length, count)
    const gone = await client.ask(of, `fleet destroy ${name}`, () => client.gibil.fleets.destroy(id))
    if (gone.is === 'answer') mustEqual(of, `boxes of ${name}`, gone.value.length, count)
    whole = gone.is === 'answer'
  }
  // What a cut left is taken away one by one.
  const boxes = await client.get(of, 'list', () => client.gibil.list())
  const left = boxes.filter((one) => one.name.startsWith(`${name}-`))
  must(of, `${left.length} boxes of ${name} are left`, !whole || left.length === 0)
  for (const box of left) {
    await client.get(of, `destroy ${box.name}`, () => destroyIfThere(() => client.gibil.box(box.id).destroy()))
  }
}

async function destroyIfThere(destroy: () => Promise<unknown>): Promise<void> {
  await destroy().catch((error) => {
    if (!GibilError.is(error) || error.code !== 'box_not_found') throw error
  })
}
