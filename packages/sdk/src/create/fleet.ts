import { Box, type CreateFleet, Failure, Fleet, GibilError } from '@gibil/contract'
import * as z from 'zod'
import { createBoxHandle } from '../box/box.ts'
import { callWithProgress } from '../connect/sse.ts'
import type { Transport } from '../connect/transport.ts'
import type { LongCallOptions } from '../images.ts'
import { prepareRepo, type RepoOptions } from './input.ts'
import { randomName } from './name.ts'
import { clockSlackMs, destroyIfThere, undoOnAbort } from './undo.ts'
import { uploadRepo } from './upload-repo.ts'
import { whileBusy } from './while-busy.ts'

/** What the boxes of a fleet are made of. */
export type FleetOptions = Omit<CreateFleet, 'repo'> & { readonly repo?: string | RepoOptions | undefined }

/** Packing a tree costs this machine time and disk reads, so only a few boxes get theirs at once. */
const uploadsAtOnce = 3

/** Makes several boxes. Those that fail are told in `failures` and do not end the others. When aborted, all are destroyed. */
export async function createFleet(
  transport: Transport,
  options: FleetOptions,
  callOptions: LongCallOptions = {},
): Promise<Fleet> {
  const { repo, ...fields } = options
  const { onProgress, signal } = callOptions
  await using prepared =
    repo === undefined
      ? undefined
      : await prepareRepo(repo, (message) => onProgress?.({ phase: 'clone', message }), signal)
  const name = options.name ?? randomName()
  const input: CreateFleet = { ...fields, name, ...(prepared ? { repo: prepared.input } : {}) }
  const work = makeFleet(transport, input, prepared?.upload, { onProgress, signal })
  return undoOnAbort(work, signal, async (since, made) => {
    const ours = made?.boxes ?? (await boxesOfFleet(transport, name, since))
    const gone = await Promise.all(ours.map((box) => destroyIfThere(createBoxHandle(transport, box.id))))
    return gone.includes(true)
  })
}

async function makeFleet(
  transport: Transport,
  input: CreateFleet,
  upload: string | undefined,
  { onProgress, signal }: LongCallOptions,
): Promise<Fleet> {
  const create = (body: CreateFleet): Promise<Fleet> =>
    whileBusy(() => callWithProgress(transport, Fleet, 'POST', '/fleets', { body, onProgress }), { onProgress, signal })
  if (upload === undefined) return create(input)

  const created = await create({ ...input, wait: 'created' })
  const boxes: Box[] = []
  const failures = [...created.failures]
  const queue = [...created.boxes]
  const wait = input.wait ?? 'ready'
  const worker = async (): Promise<void> => {
    for (let box = queue.shift(); box; box = queue.shift()) {
      const handle = createBoxHandle(transport, box.id, box)
      try {
        await uploadRepo(transport, handle, upload, { signal })
        boxes.push(wait === 'created' ? await handle.refresh() : await handle.wait(wait))
        onProgress?.({ phase: 'box', message: `${box.name} is ${wait}` })
      } catch (error) {
        failures.push({ name: box.name, failure: failureOf(error) })
      }
    }
  }
  await Promise.all(Array.from({ length: uploadsAtOnce }, worker))
  const order = new Map(created.boxes.map((box, index) => [box.id, index]))
  boxes.sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0))
  if (input.onPartial !== 'destroy' || failures.length === 0) return { id: created.id, boxes, failures }
  // The daemon had none of them fail before their trees were sent.
  await Promise.all(boxes.map((box) => destroyIfThere(createBoxHandle(transport, box.id))))
  return { id: created.id, boxes: [], failures }
}

function failureOf(error: unknown): Failure {
  const { code, message, hint, details } = GibilError.from(error)
  const { step, log } = Failure.pick({ step: true, log: true })
    .catch({})
    .parse(details ?? {})
  return { code, message, hint, ...(step === undefined ? {} : { step }), ...(log === undefined ? {} : { log }) }
}

/** The boxes `<name>-1 … <name>-N` that were made since then. */
export async function boxesOfFleet(transport: Transport, name: string, sinceMs: number): Promise<Box[]> {
  const boxes = await transport.call(z.array(Box), 'GET', '/boxes')
  return boxes.filter((box) => {
    const number = box.name.startsWith(`${name}-`) ? box.name.slice(name.length + 1) : ''
    return box.fleet !== null && /^\d+$/.test(number) && Date.parse(box.createdAt) >= sinceMs - clockSlackMs
  })
}
