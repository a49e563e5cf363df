import { randomUUID } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect'
import type { BoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import { type Change, ChangeSchema, type Entry, type Filesystem } from '../gen/filesystem_pb.js'
import type { SandboxCall } from './call.ts'
import { entryOf } from './entry.ts'
import { keepaliveMs, withKeepalive } from './keepalive.ts'
import { metadataPrefix } from './metadata.ts'
import { resolvePath } from './paths.ts'
import { streaming, unary } from './serve.ts'
import { changesBelow } from './watch.ts'
import type { Watchers } from './watchers.ts'

const maxDepth = 4096

export function filesystemService(watchers: Watchers): ServiceImpl<typeof Filesystem> {
  return {
    stat: unary(async ({ path }, call, context) => {
      const boxd = call.boxd(context.signal)
      return { entry: await lookAt(await resolvePath(path, call, boxd), boxd) }
    }),
    listDir: unary(async ({ path, depth }, call, context) => {
      const boxd = call.boxd(context.signal)
      const dir = await resolvePath(path, call, boxd)
      await checkDirectory(dir, boxd)
      const found = await boxd.describeBelow(dir, { depth: Math.min(depth || 1, maxDepth), prefix: metadataPrefix })
      return { entries: found.map(entryOf) }
    }),
    makeDir: unary(async ({ path }, call, context) => {
      const boxd = call.boxd(context.signal)
      const dir = await resolvePath(path, call, boxd)
      const there = await ifThere(boxd.stat(dir))
      if (there?.kind === 'directory')
        throw new ConnectError(`directory already exists: ${there.path}`, Code.AlreadyExists)
      if (there)
        throw new ConnectError(`path already exists but it is not a directory: ${there.path}`, Code.InvalidArgument)
      await boxd.mkdir({ path: dir, user: ownerOf(call) })
      return { entry: await lookAt(dir, boxd) }
    }),
    move: unary(async ({ source, destination }, call, context) => {
      const boxd = call.boxd(context.signal)
      const from = await resolvePath(source, call, boxd)
      const to = await resolvePath(destination, call, boxd)
      await boxd.stat(from, { follow: false })
      await boxd.move({ from, to, overwrite: true })
      return { entry: await lookAt(to, boxd) }
    }),
    remove: unary(async ({ path }, call, context) => {
      const boxd = call.boxd(context.signal)
      await ifThere(boxd.removeFile(await resolvePath(path, call, boxd), { recursive: true }))
      return {}
    }),
    watchDir: streaming(async function* (request, call, context) {
      const boxd = call.boxd(context.signal)
      const dir = await resolvePath(request.path, call, boxd)
      await checkDirectory(dir, boxd)
      yield* withKeepalive(changesBelow(dir, request, boxd), keepaliveMs(context.requestHeader), keepalive)
    }),
    createWatcher: unary(async (request, call) => {
      const dir = await resolvePath(request.path, call, call.boxd())
      await checkDirectory(dir, call.boxd())
      const watcherId = randomUUID()
      await watchers.open(call.box.id, watcherId, (signal) => {
        const boxd = call.boxd(signal)
        return changesBelow(dir, request, boxd)
      })
      return { watcherId }
    }),
    getWatcherEvents: unary(async ({ watcherId }, { box }) => ({ events: watchers.take(box.id, watcherId) })),
    removeWatcher: unary(async ({ watcherId }, { box }) => {
      watchers.close(box.id, watcherId)
      return {}
    }),
  }
}

const keepalive = (): Change => create(ChangeSchema, { event: { case: 'keepalive', value: {} } })

/** Whose what is made is to be. */
const ownerOf = ({ user, box }: SandboxCall): string => user ?? box.user

async function lookAt(path: string, boxd: BoxdClient): Promise<Entry> {
  return entryOf(await boxd.describe(path, metadataPrefix))
}

/** Throws `file_not_found`, and for what is none `invalid_argument`. */
async function checkDirectory(path: string, boxd: BoxdClient): Promise<void> {
  const there = await boxd.stat(path)
  if (there.kind !== 'directory') throw new ConnectError(`path is not a directory: ${there.path}`, Code.InvalidArgument)
}

async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (GibilError.is(error) && error.code === 'file_not_found') return undefined
    throw error
  }
}
