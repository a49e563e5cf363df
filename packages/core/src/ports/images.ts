import type { Readable } from 'node:stream'
import type { Image, Progress, TreeReport } from '@gibil/contract'
import type { ResolvedImage } from './driver.ts'

export interface SaveTree {
  /** Null: it is kept as long as a box has it, or is about to. */
  readonly name: string | null
  /** What it is of, in words. */
  readonly source: string
  /** The digest of the image that the box was made of, or what that says of environment and user, which goes on. Null: it is none of this machine. */
  readonly of: string | Pick<ResolvedImage, 'env' | 'workdir' | 'user'> | null
  readonly tar: Readable
}

export interface SavedTree {
  readonly image: Image
  /** Of the stream. */
  readonly bytes: number
  readonly report: TreeReport
}

interface SaveOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
}

/** Where images are found. */
export interface ImageSource {
  /** `ref` is a name, or the digest that a name meant when a box was made. Throws `image_not_found` or `image_damaged`. */
  resolve(ref: string): Promise<ResolvedImage>
  /** Makes an image of the tree of a box, which every shape can begin as. Throws `image_damaged`, `disk_full`. */
  saveTree(input: SaveTree, options?: SaveOptions): Promise<SavedTree>
}

/** One step of an image that is built by steps, as a program lists them. Paths are of the image unless said otherwise. */
export type ImageStep =
  | { readonly kind: 'run'; readonly command: string; readonly user: string | undefined }
  | {
      readonly kind: 'copy'
      /** A tar archive of this host, plain or compressed, and what of it: a path, or a pattern such as `src/*`. */
      readonly archive: string
      readonly source: string
      readonly target: string
      readonly user: string | undefined
      readonly mode: number | undefined
    }
  | { readonly kind: 'env'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'workdir'; readonly path: string }
  | { readonly kind: 'user'; readonly name: string }

/** An image that is built by steps instead of a Dockerfile. */
export interface StepsBuild {
  readonly name: string
  /** An image of this machine, else of a registry; with a password it is always fetched, and kept for this image alone. */
  readonly base: { readonly reference: string; readonly username?: string; readonly password?: string }
  /** Whom steps and boxes begin as, in his home; absent: whom the base says. With `prepare` it is made fit for him first. */
  readonly beginAs: { readonly user: string; readonly prepare: boolean } | undefined
  readonly steps: readonly ImageStep[]
  /** The first step, 0 for the base, that is done again whatever earlier builds made. */
  readonly freshFrom: number
}
