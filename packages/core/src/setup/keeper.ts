import type { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { toFailure } from '../box/failure.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from '../plane/context.ts'
import type { KeptSetups } from '../plane/kept-setups.ts'
import type { Reconciler, SetupKeeper } from '../plane/reconciler.ts'
import { isBare } from '../plane/steps.ts'
import { runSetup } from './run-setup.ts'

export interface Setups extends SetupKeeper {
  isActive(id: string): boolean
  /** Begins the set-up of a box that waits for an upload. Resolves when the tree is in the box. Throws `wrong_state`. */
  upload(record: BoxRecord, tar: Readable): Promise<void>
  idle(): Promise<void>
  close(): void
}

interface Active {
  readonly abort: AbortController
  /** Rejects with what it failed by. */
  readonly result: Promise<void>
  readonly done: Promise<void>
}

/** Runs the set-ups, one at a time for each box, beside the reconciler's steps: never inside of one, since they may take long. */
export function createSetups(
  context: Context,
  reconciler: () => Pick<Reconciler, 'poke' | 'converge'>,
  kept: () => Pick<KeptSetups, 'beginningOf' | 'keep'>,
): Setups {
  const { boxes, deps, policy, stopping } = context
  const active = new Map<string, Active>()
  const waitsForUpload = new Map<string, () => void>()

  const noLongerWaits = (id: string): void => {
    waitsForUpload.get(id)?.()
    waitsForUpload.delete(id)
  }

  /** Before services and tasks nothing in the box is worth keeping; after, it is kept to be looked at. */
  const fail = async (id: string, error: GibilError): Promise<void> => {
    if (stopping.aborted) return
    context.tokens.delete(id)
    await boxes.update(id, (latest) => {
      if (latest.desired === 'gone' || latest.readiness === 'ready' || latest.readiness === 'failed') return undefined
      const failure = toFailure(error)
      const stopped = latest.desired !== 'running' || Boolean(latest.restart)
      // Stopped by its user while services came up again: the next start begins with them.
      if (stopped && latest.tasksDone) return { readiness: 'services' }
      if (latest.readiness === 'cloning' && !stopped) return { failure, desired: 'gone', status: 'destroying' }
      return { readiness: 'failed', failure }
    })
  }

  const begin = (record: BoxRecord, tar: Readable | null): Promise<void> => {
    const { id } = record
    noLongerWaits(id)
    const abort = new AbortController()
    const signal = AbortSignal.any([abort.signal, stopping])
    const work = async (): Promise<void> => {
      try {
        await runSetup(context, { record, tar, signal, keep: kept().keep })
      } catch (error) {
        const cause = GibilError.from(signal.aborted ? signal.reason : error)
        deps.log.info({ box: id, code: cause.code, err: cause }, 'a set-up failed')
        await fail(id, cause)
        throw cause
      } finally {
        active.delete(id)
        context.activity.touch(id)
        if (!stopping.aborted) reconciler().poke(id)
      }
    }
    const result = work()
    // Whoever waits for the box learns of the failure from its record.
    active.set(id, { abort, result, done: result.catch(() => undefined) })
    return result
  }

  const interrupted = (record: BoxRecord, during: string): GibilError =>
    new GibilError('interrupted', `The set-up of "${record.name}" was interrupted by a restart during its ${during}.`, {
      hint: `The box is kept: finish by hand with \`gibil shell ${record.name}\`, or destroy and create it again.`,
      details: { step: during },
    })

  /** A set-up that was under way when the daemon, or the box, ended. */
  const resume = async (record: BoxRecord): Promise<void> => {
    if (record.readiness === 'services') {
      // Services that came up already would be in the way of their second start: begin with a box in which nothing runs.
      deps.log.info({ box: record.id }, 'starting a box again to take up its set-up')
      await context.drivers.for(record).stop(record.id, 0)
      await boxes.update(record.id, () => ({ status: 'stopped', address: null }), { reason: 'set-up begins again' })
      return reconciler().poke(record.id)
    }
    if (record.readiness === 'tasks') {
      if (record.tasksDone) {
        await boxes.update(record.id, () => ({ readiness: 'services' }))
        return reconciler().poke(record.id)
      }
      return fail(record.id, interrupted(record, 'tasks'))
    }
    if (record.repo?.needsToken && !context.tokens.has(record.id)) {
      await fail(
        record.id,
        new GibilError('interrupted', `The clone of "${record.name}" was interrupted, and its token is not kept.`),
      )
    } else {
      // A clone may still be running in it, or have ended halfway.
      await boxes.update(record.id, ({ shape, provider, image, imageDigest, size, desired }) =>
        desired === 'gone' ? undefined : { remake: { shape, provider, image, imageDigest, size } },
      )
    }
    reconciler().poke(record.id)
  }

  const awaitUpload = (record: BoxRecord): void => {
    const { id, name } = record
    if (waitsForUpload.has(id)) return
    const cancel = deps.clock.after(policy.uploadWaitMs, () => {
      waitsForUpload.delete(id)
      const error = new GibilError('clone_failed', `The repository announced for "${name}" was never sent.`, {
        details: { step: 'upload' },
      })
      fail(id, error).then(
        () => reconciler().poke(id),
        (cause) => deps.log.error({ box: id, err: cause }, 'a failure was not kept'),
      )
    })
    waitsForUpload.set(id, cancel)
  }

  return {
    async settle(record, fresh) {
      const { id, readiness, status, desired, repo } = record
      if (status !== 'running' || desired !== 'running' || active.has(id)) return
      if (readiness !== 'cloning' && readiness !== 'services' && readiness !== 'tasks') return
      if (readiness === 'cloning' && repo?.url === null && !isBare(record)) return awaitUpload(record)
      if (!fresh) return resume(record)
      // Its failure is in the record, where those who wait see it.
      begin(record, null).catch(() => undefined)
    },
    async cancel(id, reason) {
      noLongerWaits(id)
      const setup = active.get(id)
      setup?.abort.abort(reason)
      await setup?.done
    },
    isActive: (id) => active.has(id),
    beginningOf: (record) => kept().beginningOf(record, record.owner),
    async upload(given, tar) {
      // Its script comes first, and may have begun.
      if (isBare(given)) await active.get(given.id)?.result
      const record = await boxes.find(given.id)
      const { id, name, repo, readiness } = record
      if (repo?.url !== null || readiness !== 'cloning' || active.has(id)) {
        throw new GibilError('wrong_state', `The box "${name}" waits for no upload.`, {
          hint: 'Announce it at create; to send files later use `gibil push`.',
        })
      }
      const written = Promise.withResolvers<void>()
      const leave = boxes.onChange((changed, latest) => {
        if (changed === id && latest?.readiness !== 'cloning') written.resolve()
      })
      try {
        await Promise.race([begin(record, tar), written.promise])
      } finally {
        leave()
      }
    },
    async idle() {
      while (active.size > 0) await Promise.all([...active.values()].map(({ done }) => done))
    },
    close() {
      for (const id of [...waitsForUpload.keys()]) noLongerWaits(id)
    },
  }
}
