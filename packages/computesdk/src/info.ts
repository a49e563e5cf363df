import type { SandboxInfo } from '@computesdk/provider'
import type { Box, BoxHandle } from '@gibil/sdk'

function statusOf({ status }: Box): SandboxInfo['status'] {
  if (status === 'failed' || status === 'destroying' || status === 'destroyed') return 'error'
  return status === 'stopped' ? 'stopped' : 'running'
}

/** A paused box counts as running: the next call wakes it. `timeout` is the time to live in milliseconds, 0 where it has none. */
export async function getInfo(box: BoxHandle): Promise<SandboxInfo> {
  const info = await box.refresh()
  const { id, createdAt, lease, labels, name, shape, image } = info
  return {
    id,
    provider: 'gibil',
    status: statusOf(info),
    createdAt: new Date(createdAt),
    timeout: (lease.ttlSeconds ?? 0) * 1000,
    metadata: { ...labels, name, shape, image },
  }
}

/** Publishes the port: the address has its token in it, and leads to the proxy of the daemon. Plain text on this machine, so a `wss` is a `ws`. */
export async function getUrl(
  box: BoxHandle,
  { port, protocol = 'http' }: { readonly port: number; readonly protocol?: string },
): Promise<string> {
  const { link } = await box.publish(port)
  if (link === null) throw new Error('The proxy of the daemon does not listen: see `gibil doctor`.')
  return protocol.startsWith('ws') ? link.replace(/^http/, 'ws') : link
}
