import { relative } from 'node:path'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import type { BoxdClient } from '@gibil/boxd-client'
import type { FileEvent } from '@gibil/contract'
import { type Change, ChangeSchema, EventType, type Watch } from '../gen/filesystem_pb.js'
import { entryOf } from './entry.ts'
import { metadataPrefix } from './metadata.ts'

const types: Readonly<Record<Exclude<FileEvent['type'], 'overflow'>, EventType>> = {
  create: EventType.CREATE,
  write: EventType.WRITE,
  remove: EventType.REMOVE,
  rename: EventType.RENAME,
  chmod: EventType.CHMOD,
}
const withEntry = new Set<EventType>([EventType.CREATE, EventType.WRITE, EventType.CHMOD])

/** What changes below a directory, by names relative to it; first a sign that nothing is missed from now on. */
export async function* changesBelow(
  dir: string,
  { recursive, includeEntry, allowNetworkMounts }: Pick<Watch, 'recursive' | 'includeEntry' | 'allowNetworkMounts'>,
  boxd: BoxdClient,
): AsyncGenerator<Change> {
  // Boxes have no network mounts, so that there is nothing to allow or to refuse.
  void allowNetworkMounts
  const { path: root } = await boxd.stat(dir)
  for await (const event of boxd.watch(dir, { recursive })) {
    if (event.type === 'ready') {
      yield change({ case: 'start', value: {} })
      continue
    }
    if (event.type === 'overflow') {
      throw new ConnectError('Changes came faster than they were read, and some were missed.', Code.DataLoss)
    }
    const type = types[event.type]
    const name = relative(root, event.path)
    const info =
      event.type === 'create' || (includeEntry && withEntry.has(type))
        ? await boxd.describe(event.path, metadataPrefix).catch(() => undefined)
        : undefined
    const entry = includeEntry && info ? { entry: entryOf(info) } : {}
    yield change({ case: 'filesystem', value: { name, type, ...entry } })
    // boxd puts a file that it has written whole in its place, which is one change to the kernel: clients wait for the write.
    if (event.type === 'create' && info?.kind === 'file' && info.size > 0) {
      yield change({ case: 'filesystem', value: { name, type: EventType.WRITE, ...entry } })
    }
  }
}

const change = (event: NonNullable<MessageInitShape<typeof ChangeSchema>['event']>): Change =>
  create(ChangeSchema, { event })
