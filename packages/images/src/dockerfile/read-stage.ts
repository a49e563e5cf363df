import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../files.ts'
import { withMerged } from '../overlay.ts'
import type { Stage } from './stage.ts'
import type { Build } from './step.ts'

/** The file system that a stage has so far, for reading. */
export const readStage = async <T>(
  build: Pick<Build, 'operation'>,
  stage: Stage,
  folder: string,
  use: (merged: string) => Promise<T>,
): Promise<T> => {
  const place = join(folder, 'read')
  await mkdir(place, { recursive: true })
  const layers = stage.layers.map(build.operation.layers.pathOf).reverse()
  return withMerged({ layers, folder: place, writable: false, env: build.operation.env }, use)
}

/** The same, to be changed: returns the folder with what changed. */
export const changeStage = async (
  build: Pick<Build, 'operation'>,
  stage: Stage,
  folder: string,
  change: (merged: string) => Promise<unknown>,
): Promise<string> => {
  const layers = stage.layers.map(build.operation.layers.pathOf).reverse()
  const upper = join(folder, 'upper')
  await makeFolder(upper, 0o755)
  await withMerged({ layers, folder, writable: true, env: build.operation.env }, change)
  return upper
}
