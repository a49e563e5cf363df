import { mkdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { type HostEnv, mustRun } from './tool.ts'

export interface OverlayMount {
  readonly target: string
  /** Layer directories, top first, all in one folder. */
  readonly lower: readonly string[]
  /** Where changes go; absent: read-only. */
  readonly writable?: { readonly upper: string; readonly work: string }
}

/** `mount` passes its options in one page of 4 KiB; with relative names of 65 bytes each that is this many layers. */
export const maxLayers = 56

const unsafe = /[,:\\]/

/**
 * The arguments of `mount` for an overlay, to be run in the folder of the layers: relative names keep the options short. A
 * second lowest layer that is empty makes a read-only overlay of one layer possible.
 */
export const overlayArguments = (mount: OverlayMount): { cwd: string; argv: string[] } => {
  const folders = new Set(mount.lower.map((path) => dirname(path)))
  const [cwd] = folders
  const paths = [...mount.lower.map((path) => basename(path)), mount.writable?.upper ?? '', mount.writable?.work ?? '']
  if (folders.size !== 1 || cwd === undefined || paths.some((path) => unsafe.test(path))) {
    throw new GibilError(
      'host_unfit',
      'A path of the image store holds a comma, a colon or a backslash, so it cannot be mounted.',
    )
  }
  if (mount.lower.length > maxLayers) {
    throw new GibilError('image_damaged', `The image has ${mount.lower.length} layers; ${maxLayers} can be mounted.`)
  }
  const lower = mount.lower.map((path) => basename(path)).join(':')
  const writable = mount.writable ? `,upperdir=${mount.writable.upper},workdir=${mount.writable.work}` : ''
  return { cwd, argv: ['mount', '-t', 'overlay', 'overlay', '-o', `lowerdir=${lower}${writable}`, mount.target] }
}

/**
 * Gives `use` the file system that layers (top first) make together, in `folder/merged`; with `writable`, changes land in
 * `folder/upper`. The mount is gone afterwards. Ids are those of the image: for our own reading and copying, not to run in.
 */
export const withMerged = async <T>(
  options: { layers: readonly string[]; folder: string; writable: boolean; env: HostEnv },
  use: (merged: string) => Promise<T>,
): Promise<T> => {
  const { layers, folder, env } = options
  const [only, ...others] = layers
  if (only !== undefined && others.length === 0 && !options.writable) return use(only)
  const target = join(folder, 'merged')
  const writable = { upper: join(folder, 'upper'), work: join(folder, 'work') }
  for (const path of [target, writable.upper, writable.work]) await mkdir(path, { recursive: true, mode: 0o755 })
  if (layers.length === 0) return use(writable.upper)
  const { cwd, argv } = overlayArguments({ target, lower: layers, ...(options.writable ? { writable } : {}) })
  await mustRun(argv, { env, cwd })
  try {
    return await use(target)
  } finally {
    await mustRun(['umount', target], { env })
  }
}
