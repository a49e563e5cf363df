import type { Clock } from '@gibil/core'
import type { BuildCache } from './build-cache.ts'
import type { BuildNetworks, BuildRunner } from './build-runner.ts'
import type { ImageHome } from './home.ts'
import type { CommitOptions, LayerMark, LayerStore } from './layer-store.ts'
import type { ImageConfig, ImageManifest } from './manifest.ts'
import type { ManifestStore } from './manifest-store.ts'
import type { OperationOptions } from './progress.ts'
import type { HostEnv } from './tool.ts'

/** What every operation of the store works with. */
export interface StoreParts {
  readonly home: ImageHome
  readonly recipesDir: string
  readonly layers: LayerStore
  readonly manifests: ManifestStore
  readonly cache: BuildCache
  readonly runner: BuildRunner
  readonly networks: BuildNetworks | undefined
  readonly allowHostNetwork: boolean
  readonly env: HostEnv
  /** As `process.arch`. */
  readonly arch: string
  readonly clock: Clock
}

export interface NewImage {
  /** Null: it is kept only as long as a box has it. */
  readonly name: string | null
  readonly source: string
  /** Lowest first. */
  readonly layers: readonly string[]
  readonly config: ImageConfig
  readonly recipeHash?: string
  readonly buildLayers?: readonly string[]
}

/** One operation under way: a folder to work in, and layers that nobody may remove before it ends. */
export interface Operation extends OperationOptions, StoreParts {
  /** For root only. */
  readonly folder: string
  /** Puts a tree into the store and keeps it there while the operation lasts. */
  commit(tree: string, options?: Pick<CommitOptions, 'id'>): Promise<LayerMark>
  /** What a finished step with this key made, if all of it is still here. */
  cached(key: string): Promise<{ layer: string | null } | undefined>
  /** Keeps the layers of an image that the operation builds on. */
  keep(layers: readonly string[]): void
  /** Makes it an image; the last step. */
  add(image: NewImage): Promise<ImageManifest>
}
