import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { digestOf, type ImageManifest } from './manifest.ts'
import type { NewImage, Operation, StoreParts } from './operation.ts'
import { maxLayers, withMerged } from './overlay.ts'
import type { OperationOptions } from './progress.ts'
import { withSpaceGuard } from './space-guard.ts'
import { throwIfAborted } from './tool.ts'
import { readUsers } from './users.ts'
import type { Workspaces } from './workspace.ts'

export interface OperationsOptions {
  readonly parts: StoreParts
  readonly workspaces: Workspaces
  readonly reserve: number
  /** Runs work with a set of layers that are safe from removal as long as it lasts. */
  readonly holding: <T>(work: (held: Set<string>) => Promise<T>) => Promise<T>
  readonly put: (image: ImageManifest) => Promise<void>
}

/** Runs one operation of the store: its folder, its layers, room on the disk, its end. */
export const createOperations =
  ({ parts, workspaces, reserve, holding, put }: OperationsOptions) =>
  <T>(given: OperationOptions, work: (operation: Operation) => Promise<T>): Promise<T> =>
    holding((held) =>
      workspaces.use((folder) =>
        withSpaceGuard({ path: folder, reserve, signal: given.signal }, async (signal) => {
          const { layers, cache, env } = parts

          const describe = async (image: NewImage): Promise<ImageManifest> => {
            if (image.layers.length > maxLayers) {
              throw new GibilError(
                'image_damaged',
                `${image.name} would have ${image.layers.length} layers; ${maxLayers} are possible.`,
                {
                  hint: 'Join some of its steps into one.',
                },
              )
            }
            const marks = await Promise.all(image.layers.map(layers.check))
            const sizeBytes = marks.reduce((sum, mark) => sum + (mark?.bytes ?? 0), 0)
            if (marks.includes(undefined))
              throw new GibilError('image_damaged', `A layer of ${image.name} went away meanwhile.`)
            const inside = join(folder, 'inside')
            await mkdir(inside, { recursive: true })
            const paths = image.layers.map(layers.pathOf).reverse()
            const users = await withMerged({ layers: paths, folder: inside, writable: false, env }, readUsers)
            return {
              version: 1,
              name: image.name,
              digest: digestOf(image.layers, image.config),
              source: image.source,
              createdAt: new Date(parts.clock.now()).toISOString(),
              layers: [...image.layers],
              sizeBytes,
              config: image.config,
              hasAgent: users.accounts.some((account) => account.name === 'agent'),
              recipeHash: image.recipeHash ?? null,
              buildLayers: [...(image.buildLayers ?? [])],
            }
          }

          return work({
            ...parts,
            folder,
            signal,
            onProgress: given.onProgress,
            keep: (ids) => {
              for (const id of ids) held.add(id)
            },
            commit: (tree, options = {}) => layers.commit(tree, { ...options, signal, onId: (id) => held.add(id) }),
            cached: async (key) => {
              const hit = await cache.get(key)
              if (!hit?.layer) return hit
              held.add(hit.layer)
              // Looked at again once it is held: it may have been on its way out.
              return (await layers.check(hit.layer)) ? hit : undefined
            },
            add: async (image) => {
              const manifest = await describe(image)
              throwIfAborted(signal)
              await put(manifest)
              return manifest
            },
          })
        }),
      ),
    )
