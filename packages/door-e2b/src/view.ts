import type { Box } from '@gibil/contract'
import { deniesAll, networkOf } from './control/network.ts'
import type { Terms } from './terms.ts'
import type { SandboxTokens } from './tokens.ts'

/** What SDKs take to decide which calls the sandbox has. All that this version has is here, so no sandbox is older. */
const envdVersion = '0.6.4'
/** E2B's word for the node that a sandbox is on; SDKs carry it and do nothing with it. */
const clientID = 'local'

/** A box of this door. */
export interface Sandbox {
  readonly box: Box
  readonly terms: Terms
}

export type SandboxState = 'running' | 'paused'

/** Undefined: it is not there any more, or not yet. A box whose disk alone is kept is paused too. */
export function stateOf({ status }: Pick<Box, 'status'>): SandboxState | undefined {
  if (status === 'running') return 'running'
  return status === 'paused' || status === 'stopped' ? 'paused' : undefined
}

/** The answer to create, connect and fork. */
export function opened({ box, terms }: Sandbox, tokens: SandboxTokens, domain: string) {
  return {
    templateID: terms.template,
    sandboxID: box.id,
    clientID,
    envdVersion,
    envdAccessToken: tokens.envd,
    ...(terms.publicTraffic ? {} : { trafficAccessToken: tokens.traffic }),
    domain,
  }
}

/** One of a list. `pausedAt`: when it was paused, which is then the end of its time. */
export function listed({ box, terms }: Sandbox, pausedAt: string | undefined) {
  const { createdAt, lease, size } = box
  return {
    sandboxID: box.id,
    templateID: terms.template,
    clientID,
    alias: terms.template,
    startedAt: createdAt,
    endAt: stateOf(box) === 'paused' ? (pausedAt ?? createdAt) : (lease.expiresAt ?? createdAt),
    cpuCount: size.cpu,
    memoryMB: size.memoryMib,
    diskSizeMB: size.diskMib,
    state: stateOf(box) ?? 'running',
    metadata: terms.metadata,
    envdVersion,
    volumeMounts: box.volumes.map(({ volume, path }) => ({ name: volume, path })),
  }
}

export function detailed(sandbox: Sandbox, tokens: SandboxTokens, domain: string, pausedAt: string | undefined) {
  const { box, terms } = sandbox
  const { publicTraffic, maskRequestHost } = terms
  return {
    ...listed(sandbox, pausedAt),
    envdAccessToken: tokens.envd,
    domain,
    allowInternetAccess: !deniesAll(box.egress),
    network: {
      ...networkOf(box.egress),
      allowPublicTraffic: publicTraffic,
      ...(maskRequestHost === null ? {} : { maskRequestHost }),
    },
    lifecycle: { onTimeout: terms.autoPause ? 'pause' : 'kill', autoResume: terms.autoResume },
  }
}
