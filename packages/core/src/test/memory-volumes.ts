import type { VolumeRecord, VolumeStore } from '../ports/volumes.ts'

/** Volumes in memory, which hold nothing. */
export function createMemoryVolumes(): VolumeStore {
  const kept = new Map<string, VolumeRecord>()
  return {
    list: async () => [...kept.values()],
    async create(record) {
      kept.set(record.id, record)
    },
    async remove(id) {
      kept.delete(id)
    },
    bytes: async () => 4096,
  }
}
