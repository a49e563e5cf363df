import { Box, type CreateBox, GibilError, type Progress } from '@gibil/contract'
import { type BoxHandle, createBoxHandle } from '../box/box.ts'
import { callWithProgress } from '../connect/sse.ts'
import type { Transport } from '../connect/transport.ts'
import type { LongCallOptions } from '../images.ts'
import { type CreateOptions, prepareRepo } from './input.ts'
import { randomName } from './name.ts'
import { destroyIfThere, destroyNamed, undoOnAbort } from './undo.ts'
import { uploadRepo } from './upload-repo.ts'
import { whileBusy } from './while-busy.ts'

export type { CreateOptions, RepoOptions } from './input.ts'

/** A box that ends with the block that made it: `await using box = await gibil.create()`. */
export type OwnedBox = BoxHandle & AsyncDisposable

const namesToTry = 3

/**
 * Makes a box. When it is aborted, or the repository cannot be sent, the half-made box is destroyed before this throws.
 * A box whose set-up fails (a task, a service) is kept for a look at it.
 */
export async function createBox(
  transport: Transport,
  options: CreateOptions = {},
  callOptions: LongCallOptions = {},
): Promise<OwnedBox> {
  const { repo, ...fields } = options
  const { onProgress, signal } = callOptions
  throwIfAborted(signal)
  const step = (phase: string, message: string): void => onProgress?.({ phase, message } satisfies Progress)
  await using prepared = repo === undefined ? undefined : await prepareRepo(repo, (text) => step('clone', text), signal)

  for (let attempt = 1; ; attempt += 1) {
    const name = options.name ?? randomName()
    try {
      const input = { ...fields, name, ...(prepared ? { repo: prepared.input } : {}) }
      const work = makeBox(transport, input, prepared?.upload, { onProgress, signal })
      const box = await undoOnAbort(work, signal, (since, made) =>
        made ? destroyIfThere(createBoxHandle(transport, made.id)) : destroyNamed(transport, name, since),
      )
      return owned(transport, box)
    } catch (error) {
      const taken = options.name === undefined && GibilError.is(error) && error.code === 'name_in_use'
      if (!taken || attempt >= namesToTry) throw error
    }
  }
}

async function makeBox(
  transport: Transport,
  input: CreateBox & { readonly name: string },
  upload: string | undefined,
  { onProgress, signal }: LongCallOptions,
): Promise<Box> {
  const create = (tell: LongCallOptions['onProgress']): Promise<Box> =>
    whileBusy(() => callWithProgress(transport, Box, 'POST', '/boxes', { body: input, onProgress: tell }), {
      onProgress,
      signal,
    })
  if (upload === undefined) return create(onProgress)

  // The create stays open while the tree is sent, so that all of its progress is heard. The box waits for the tree from the
  // moment that it is told to be created.
  const announced = Promise.withResolvers<void>()
  const created = create((progress) => {
    if (progress.phase === 'created') announced.resolve()
    onProgress?.(progress)
  })
  await Promise.race([announced.promise, created])
  const sent = uploadRepo(transport, createBoxHandle(transport, input.name), upload, { onProgress, signal })
  // When the tree cannot be sent the create fails too, as the box is destroyed: what broke the sending is what to tell.
  created.catch(() => undefined)
  const afterUpload = await sent.catch(async (error: unknown) => {
    // It was gone before its tree came, as by a set-up script that failed: the create says why.
    if (isGoing(error)) await created
    throw error
  })
  const box = await created
  return input.wait === 'created' ? afterUpload : box
}

const isGoing = (error: unknown): boolean =>
  GibilError.is(error) &&
  (error.code === 'box_not_found' || (error.code === 'wrong_state' && error.details?.['status'] === 'destroying'))

function owned(transport: Transport, box: Box): OwnedBox {
  const handle = createBoxHandle(transport, box.id, box)
  return Object.defineProperty(handle, Symbol.asyncDispose, {
    value: async () => {
      await destroyIfThere(handle)
    },
  }) as OwnedBox
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new GibilError('cancelled', 'The create was cancelled before it began.', { cause: signal.reason })
}
