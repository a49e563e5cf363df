import type { Readable } from 'node:stream'
import {
  BakedImage,
  type BakeImage,
  type BuildImage,
  Image,
  type Progress,
  PruneResult,
  type PullImage,
  type SaveImage,
} from '@gibil/contract'
import * as z from 'zod'
import { callWithProgress } from './connect/sse.ts'
import type { Transport } from './connect/transport.ts'
import { tarStream } from './tree/tar-writer.ts'
import { walkTree } from './tree/walk.ts'

export interface LongCallOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export type BuildRequest = z.infer<typeof BuildImage> & {
  /** Directory on this machine with the Dockerfile and what it copies; `.dockerignore` is respected. */
  readonly context?: string | undefined
}

interface CloudOptions {
  readonly provider?: BakeImage['provider']
  readonly signal?: AbortSignal | undefined
}

/** Root filesystems that boxes are made of. */
export interface Images {
  list(options?: { readonly signal?: AbortSignal }): Promise<Image[]>
  /** From a recipe of Gibil, or from a Dockerfile with its context. Finished steps are cached. */
  build(request: BuildRequest, options?: LongCallOptions): Promise<Image>
  /** From a registry. */
  pull(request: z.infer<typeof PullImage>, options?: LongCallOptions): Promise<Image>
  /** From a tarball of a root filesystem. */
  import(name: string, tar: Readable, options?: LongCallOptions): Promise<Image>
  /** Of the files of a box that runs; `name`: default that of the box. It stands still meanwhile, and goes on. */
  save(request: SaveImage, options?: LongCallOptions): Promise<Image>
  remove(name: string, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Images that a cloud keeps, of which boxes there begin. For the administrator only, here and below. */
  baked(options?: CloudOptions): Promise<BakedImage[]>
  /** Makes one on a machine of its own; one that was baked of the same text is kept. When aborted, nothing is left of it. */
  bake(request: BakeImage, options?: LongCallOptions): Promise<BakedImage>
  /** Throws `image_not_found`. */
  removeBaked(name: string, options?: CloudOptions): Promise<void>
  /** Removes layers and leftovers that no image uses. */
  prune(options?: { readonly signal?: AbortSignal }): Promise<PruneResult>
}

export function createImages(transport: Transport): Images {
  return {
    list: (options = {}) => transport.call(z.array(Image), 'GET', '/images', options),
    build({ context, ...request }, options = {}) {
      if (context === undefined)
        return callWithProgress(transport, Image, 'POST', '/images/build', { body: request, ...options })
      const { args, noCache, ...plain } = request
      const arg = Object.entries(args ?? {}).map(([name, value]) => `${name}=${value}`)
      const query = { ...plain, arg, noCache: noCache ? 1 : undefined }
      const raw = tarStream(walkTree(context, { ignoreFiles: ['.dockerignore'], signal: options.signal }))
      return callWithProgress(transport, Image, 'POST', '/images/build', { query, raw, headers: tarType, ...options })
    },
    pull: (request, options = {}) =>
      callWithProgress(transport, Image, 'POST', '/images/pull', { body: request, ...options }),
    import: (name, tar, options = {}) =>
      callWithProgress(transport, Image, 'POST', '/images/import', {
        query: { name },
        raw: tar,
        headers: tarType,
        ...options,
      }),
    save: (body, options = {}) => callWithProgress(transport, Image, 'POST', '/images/save', { body, ...options }),
    remove: (name, options = {}) => transport.send('DELETE', `/images/${encodeURIComponent(name)}`, options),
    baked: ({ provider, signal } = {}) =>
      transport.call(z.array(BakedImage), 'GET', '/images/baked', { query: { provider }, signal }),
    bake: (request, options = {}) =>
      callWithProgress(transport, BakedImage, 'POST', '/images/bake', { body: request, ...options }),
    removeBaked: (name, { provider, signal } = {}) =>
      transport.send('DELETE', `/images/baked/${encodeURIComponent(name)}`, { query: { provider }, signal }),
    prune: (options = {}) => transport.call(PruneResult, 'POST', '/images/prune', options),
  }
}

const tarType = { 'content-type': 'application/x-tar' }
