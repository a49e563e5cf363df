import type { Box, CreateBox } from '@gibil/contract'
import { GibilError } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'
import * as z from 'zod'
import type { DoorDeps } from '../deps.ts'
import { ownEnvironment } from '../envd/process.ts'
import { notDone, notPutIn } from '../errors.ts'
import type { DoorSettings } from '../settings.ts'
import { boxOf } from '../templates/builder.ts'
import { type StartCommands, startIn } from '../templates/start.ts'
import type { Templates } from '../templates/templates.ts'
import { labelsOf, type Terms } from '../terms.ts'
import type { Sandbox } from '../view.ts'
import { egressOf, Network } from './network.ts'
import { snapshotNamed } from './snapshot-names.ts'
import { explainMissing, imageOf } from './templates.ts'
import { beginTime, leaseUntilThere } from './time-left.ts'

/** Seconds that a sandbox lives when nobody says how long: what SDKs said themselves until they left it to the server. */
export const defaultTimeout = 300

export const CreateSandbox = z.strictObject({
  templateID: z.string().min(1).max(300),
  metadata: z.record(z.string(), z.string()).nullish(),
  envVars: z.record(z.string(), z.string()).nullish(),
  timeout: z.int().nullish(),
  secure: z.boolean().nullish(),
  allow_internet_access: z.boolean().nullish(),
  network: Network.nullish(),
  autoPause: z.boolean().nullish(),
  autoPauseMemory: z.boolean().nullish(),
  autoResume: z.strictObject({ enabled: z.boolean() }).nullish(),
  // The SDK itself starts what this names, by a command in the sandbox.
  mcp: z.unknown().optional(),
  iam: z.unknown().optional(),
  volumeMounts: z.array(z.strictObject({ name: z.string(), path: z.string() })).nullish(),
})
export type CreateSandbox = z.infer<typeof CreateSandbox>

interface Where {
  readonly plane: BoxPlane
  readonly settings: DoorSettings
  readonly signal: AbortSignal
  /** What a template of the caller is made of, if there is one of that name. */
  readonly resolve: (template: string) => ReturnType<Templates['resolve']>
  readonly boxd: DoorDeps['boxd']
}

/** Makes a sandbox; resolves when commands can be run in it. Throws what core throws for a box. */
export async function createSandbox(input: CreateSandbox, where: Where): Promise<Sandbox> {
  const { box, terms } = await made(input, where)
  return { box: await beginTime(where.plane, box, terms.timeout), terms }
}

async function made(input: CreateSandbox, where: Where): Promise<Sandbox> {
  const { plane, settings, signal, resolve } = where
  const { template, terms: asked, lease } = termsOfCreate(input)
  const own = resolve(template)
  const terms: Terms = own ? { ...asked, workdir: own.workdir } : asked
  const egress = egressOf(wishOf(input), input.allow_internet_access ?? undefined)
  const volumes = volumesOf(input, settings)
  const shared = { ...lease, egress, volumes, env: envOf(input), labels: labelsOf(terms), wait: 'ready' } as const
  if (own) {
    // What runs in the snapshot is ready; on another shape it is started anew.
    if (own.snapshot !== null && settings.shape === 'microvm') {
      const forked = await plane.fork({ from: own.snapshot, ...shared }, { signal }).catch(unlessRemoved)
      if (forked) return { box: onlyOf(forked.boxes), terms }
    }
    const box = await plane.create({ shape: settings.shape, ...boxOf(own, own.image), ...shared }, { signal })
    return started({ box, terms }, own, where)
  }
  const snapshot = await snapshotNamed(plane, template)
  if (snapshot === undefined) {
    const wish = { shape: settings.shape, ...imageOf(template), ...shared }
    const box = await plane.create(wish, { signal }).catch((error) => {
      throw explainMissing(template, error)
    })
    return { box, terms }
  }
  const { boxes } = await plane.fork({ from: snapshot.id, ...shared }, { signal })
  return { box: onlyOf(boxes), terms }
}

/** Somebody may have removed the snapshot of a template, which can do without it. */
function unlessRemoved(error: unknown): undefined {
  if (!GibilError.is(error) || error.code !== 'snapshot_not_found') throw error
}

function onlyOf([box]: readonly Box[]): Box {
  if (box) return box
  throw new GibilError('internal', 'The snapshot gave no box.')
}

/** Starts what its template says, and waits until that is ready. A sandbox in which it comes to nothing is not kept. */
async function started(sandbox: Sandbox, commands: StartCommands, { plane, boxd, signal }: Where): Promise<Sandbox> {
  const { box } = sandbox
  try {
    await startIn((one) => boxd(box.id, one, { quiet: true }), commands, ownEnvironment(sandbox), signal)
    return sandbox
  } catch (error) {
    await plane.destroy(box.id)
    throw error
  }
}

/** Checks what was asked for, before anything is made. */
function termsOfCreate(input: CreateSandbox) {
  const { timeout, autoPause, autoPauseMemory, autoResume, network } = input
  if (input.iam !== undefined && input.iam !== null) throw notPutIn('iam')
  if ((network?.httpsPorts ?? []).length > 0) throw notDone('network.httpsPorts')
  if (timeout !== undefined && timeout !== null && timeout <= 0) {
    throw new GibilError('invalid_request', 'timeout must be more than 0 seconds.')
  }
  if (autoPauseMemory === false && !autoPause) {
    throw new GibilError('invalid_request', 'autoPauseMemory: false needs autoPause.')
  }
  if (autoPauseMemory === false && autoResume?.enabled) {
    throw new GibilError('invalid_request', 'A sandbox that keeps its disk alone cannot be resumed by traffic.')
  }
  const seconds = timeout ?? defaultTimeout
  const terms: Terms = {
    template: input.templateID,
    metadata: input.metadata ?? {},
    timeout: seconds,
    autoPause: autoPause ?? false,
    pauseMemory: autoPauseMemory ?? true,
    autoResume: autoResume?.enabled ?? false,
    publicTraffic: network?.allowPublicTraffic ?? true,
    maskRequestHost: network?.maskRequestHost ?? null,
  }
  const onExpire: NonNullable<CreateBox['onExpire']> = !terms.autoPause
    ? 'destroy'
    : terms.pauseMemory
      ? 'pause'
      : 'stop'
  return { template: input.templateID, terms, lease: { ttl: leaseUntilThere(seconds), onExpire } }
}

function wishOf({ network }: CreateSandbox) {
  if (!network) return undefined
  const { allowOut, denyOut, rules, egressProxy } = network
  return { allowOut, denyOut, rules, egressProxy }
}

function volumesOf({ volumeMounts }: CreateSandbox, { shape }: DoorSettings): CreateBox['volumes'] {
  const mounts = volumeMounts ?? []
  if (mounts.length > 0 && shape !== 'container') {
    throw notDone(
      'volumeMounts of a microVM',
      'Sandboxes that are containers have them: gibil e2b setup --shape container.',
    )
  }
  return mounts.map(({ name, path }) => ({ volume: name, path }))
}

const variable = /^[A-Za-z_][A-Za-z0-9_]*$/

function envOf({ envVars }: CreateSandbox): Record<string, string> {
  for (const name of Object.keys(envVars ?? {})) {
    if (!variable.test(name))
      throw new GibilError('invalid_request', `envVars: "${name.slice(0, 80)}" is no name of a variable.`)
  }
  return envVars ?? {}
}
