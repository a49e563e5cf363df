import type { Readable } from 'node:stream'
import { type BuildImage, Image, type Progress, PruneResult, type PullImage } from '@gibil/contract'
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

/** Root filesystems that boxes are made of. */
export interface Images {
  list(options?: { readonly signal?: AbortSignal }): Promise<Image[]>
  /** From a recipe of Gibil, or from a Dockerfile with its context. Finished steps are cached. */
  build(request: BuildRequest, options?: LongCallOptions): Promise<Image>
  /** From a registry. */
  pull(request: z.infer<typeof PullImage>, options?: LongCallOptions): Promise<Image>
  /** From a tarball of a root filesystem. */
  import(name: string, tar: Readable, options?: LongCallOptions): Promise<Image>
  remove(name: string, options?: { readonly signal?: AbortSignal }): Promise<void>
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
    remove: (name, options = {}) => transport.send('DELETE', `/images/${encodeURIComponent(name)}`, options),
    prune: (options = {}) => transport.call(PruneResult, 'POST', '/images/prune', options),
  }
}

const tarType = { 'content-type': 'application/x-tar' }
