import type { CreateSnapshotOptions, ListSnapshotsOptions } from '@computesdk/provider'
import type { Snapshot } from '@gibil/sdk'
import { clientOf, type GibilConfig } from './client.ts'

/** As ComputeSDK wants them: with the name of the provider, and what Gibil says of them. */
export type Saved = Omit<Snapshot, 'provider'> & { readonly provider: 'gibil' }
const saved = (snapshot: Snapshot): Saved => ({ ...snapshot, provider: 'gibil' })

export const snapshotMethods = {
  /** The box goes on. Snapshots have no metadata here. */
  async create(config: GibilConfig, box: string, { name }: CreateSnapshotOptions = {}): Promise<Saved> {
    return saved(await clientOf(config).snapshots.create(box, name === undefined ? {} : { name }))
  },
  async list(config: GibilConfig, { sandboxId, limit }: ListSnapshotsOptions = {}): Promise<Saved[]> {
    const all = await clientOf(config).snapshots.list(sandboxId === undefined ? {} : { box: sandboxId })
    return all.slice(0, limit).map(saved)
  },
  async delete(config: GibilConfig, id: string): Promise<void> {
    await clientOf(config).snapshots.remove(id)
  },
}
