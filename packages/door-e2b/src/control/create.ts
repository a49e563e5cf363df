import type { CreateBox } from '@gibil/contract'
import { GibilError } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'
import * as z from 'zod'
import { notDone } from '../errors.ts'
import type { DoorSettings } from '../settings.ts'
import { labelsOf, type Terms } from '../terms.ts'
import type { Sandbox } from '../view.ts'
import { egressOf, Network } from './network.ts'
import { snapshotNamed } from './snapshot-names.ts'
import { imageOf } from './templates.ts'

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
  volumeMounts: z.array(z.unknown()).nullish(),
})
export type CreateSandbox = z.infer<typeof CreateSandbox>

interface Where {
  readonly plane: BoxPlane
  readonly settings: DoorSettings
  readonly signal: AbortSignal
}

/** Makes a sandbox; resolves when commands can be run in it. Throws what core throws for a box. */
export async function createSandbox(input: CreateSandbox, { plane, settings, signal }: Where): Promise<Sandbox> {
  const { template, terms, lease } = termsOfCreate(input)
  const egress = egressOf(wishOf(input), input.allow_internet_access ?? undefined)
  const shared = { ...lease, egress, env: envOf(input), labels: labelsOf(terms), wait: 'ready' } as const
  const snapshot = await snapshotNamed(plane, template)
  if (snapshot === undefined) {
    const box = await plane.create({ shape: settings.shape, ...imageOf(template), ...shared }, { signal })
    return { box, terms }
  }
  const { boxes } = await plane.fork({ from: snapshot.id, ...shared }, { signal })
  const [box] = boxes
  if (!box) throw new GibilError('internal', 'The snapshot gave no box.')
  return { box, terms }
}

/** Checks what was asked for, before anything is made. */
function termsOfCreate(input: CreateSandbox) {
  const { timeout, autoPause, autoPauseMemory, autoResume, network } = input
  if (input.iam !== undefined && input.iam !== null) throw notDone('iam')
  if ((input.volumeMounts ?? []).length > 0) throw notDone('volumeMounts')
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
  return { template: input.templateID, terms, lease: { ttl: `${seconds}s`, onExpire } }
}

function wishOf({ network }: CreateSandbox) {
  if (!network) return undefined
  const { allowOut, denyOut, rules, egressProxy } = network
  return { allowOut, denyOut, rules, egressProxy }
}

const variable = /^[A-Za-z_][A-Za-z0-9_]*$/

function envOf({ envVars }: CreateSandbox): Record<string, string> {
  for (const name of Object.keys(envVars ?? {})) {
    if (!variable.test(name))
      throw new GibilError('invalid_request', `envVars: "${name.slice(0, 80)}" is no name of a variable.`)
  }
  return envVars ?? {}
}
